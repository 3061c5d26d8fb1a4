"""Pipelines: parameters checked first, Chinese values and paths, the failed notebook kept."""

import nbformat
import pytest

import workbench as wb
from workbench.flow.pipeline import find_pipeline, pipelines, run_pipeline


def write_notebook(path, *cells):
    parameters = nbformat.v4.new_code_cell(
        'name = "x"\ncount = 1\nitems = []', metadata={"tags": ["parameters"]}
    )
    body = [nbformat.v4.new_code_cell(text) for text in cells]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = nbformat.v4.new_notebook(
        cells=[parameters, *body],
        metadata={"kernelspec": kernel, "language_info": {"name": "python"}},
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, path)
    return path


def test_values_and_paths_in_chinese_reach_the_notebook(store, tmp_path):
    source = write_notebook(
        tmp_path / "流水线 一" / "数据.ipynb",
        "import os\nfrom pathlib import Path\nimport workbench as wb",
        'Path(name).write_text(f"{count} {items}", encoding="utf-8")\nprint("写好了")',
        "assert wb.Workspace().is_batch\nassert wb.Workspace().inline",
        'assert wb.run(os.environ["WORKBENCH_BATCH"]).status == "running"',
    )
    target = tmp_path / "结果 目录.txt"
    done = run_pipeline(
        store,
        str(source),
        {"name": str(target), "count": 3, "items": ["猫", "狗"]},
        output=tmp_path / "执行 后" / "完.ipynb",
        is_shown=False,
    )
    assert target.read_text(encoding="utf-8") == "3 ['猫', '狗']"
    kept = (tmp_path / "执行 后" / "完.ipynb").read_text(encoding="utf-8")
    assert kept == done.notebook.read_text(encoding="utf-8")
    assert "写好了" in kept
    run = wb.run(done.run_id)
    assert (run.status, run.record.kind) == ("succeeded", "pipeline")


def test_a_failed_cell_is_named_and_the_executed_notebook_kept(store, tmp_path):
    source = write_notebook(
        tmp_path / "p.ipynb", 'print("before")', 'int("十二点")', 'print("after")'
    )
    with pytest.raises(wb.RunFailedError) as caught:
        run_pipeline(store, str(source), {}, output=tmp_path / "out.ipynb", is_shown=False)
    text = str(caught.value)
    assert "Cell 3 of p.ipynb failed: ValueError" in text
    assert "十二点" in text
    (run,) = wb.runs("pipeline")
    assert run.status == "failed"
    with pytest.raises(wb.StateError, match="pipeline"):
        run.resume()
    kept = store.runs.directory(run.id) / "notebook.ipynb"
    assert str(kept) in text
    outputs = kept.read_text(encoding="utf-8")
    assert "before" in outputs
    assert "after\\n" not in outputs
    assert (tmp_path / "out.ipynb").exists(), "the copy asked for is made, too"


def test_parameters_the_notebook_does_not_have_are_refused_before_it_runs(store, tmp_path):
    source = write_notebook(tmp_path / "p.ipynb", 'raise SystemError("it ran")')
    with pytest.raises(wb.InputError) as caught:
        run_pipeline(store, str(source), {"nmae": 1, "cuont": 2, "name": "y"})
    assert caught.value.problems == (
        "'nmae'; did you mean 'name'?",
        "'cuont'; did you mean 'count'?",
    )
    assert "items=[]" in str(caught.value)
    assert wb.runs() == []


def test_pipelines_are_found_by_name_or_path(tmp_path):
    assert "classification" in pipelines()
    own = write_notebook(tmp_path / "own.ipynb")
    assert find_pipeline(str(own)) == own
    with pytest.raises(wb.NotFoundError, match="did you mean 'classification'"):
        find_pipeline("clasification")
    with pytest.raises(wb.NotFoundError, match="path of a notebook"):
        find_pipeline("nothing.ipynb")
