"""Every shipped pipeline runs by papermill, on more than the data it was written for."""

import json

import pandas as pd
import pytest

import workbench as wb
from workbench.flow.pipeline import find_pipeline, pipelines, run_pipeline

QUICK = {"epochs": 3, "recipes": ["quantize_dynamic", "prune:0.3"]}


@pytest.fixture
def people(tmp_path):
    frame = pd.DataFrame(
        {
            "年龄": [31, None, 47, 58, 22] * 60,
            "plan": ["pro", "basic", None, "家庭", "basic"] * 60,
            "fee": [float(i % 37) for i in range(300)],
        }
    )
    frame["churn"] = ["yes" if plan == "basic" else "no" for plan in frame["plan"]]
    folder = tmp_path / "数据 folder"
    folder.mkdir()
    frame.to_csv(folder / "客户.csv", index=False)
    return folder / "客户.csv"


def test_each_pipeline_has_one_parameters_cell():
    assert pipelines()
    for path in pipelines().values():
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        tagged = [c for c in cells if "parameters" in c["metadata"].get("tags", [])]
        assert len(tagged) == 1, path


def test_classification_takes_a_table_with_holes_from_a_chinese_path(people, tmp_path):
    parameters = {
        **QUICK,
        "dataset": str(people),
        "target": "churn",
        "family": "mlp",
        "name": "客户",
        "report": str(tmp_path / "report.html"),
    }
    done = run_pipeline(wb.Workspace().store, "classification", parameters, is_shown=False)
    assert wb.run(f"run:{done.run_id}").status == "succeeded"
    assert wb.verify("model:客户@champion").number == 1
    assert done.notebook.stat().st_size <= 200_000
    written = done.notebook.read_text(encoding="utf-8")
    assert written.count("image/png") >= 3, "data, run and study are pictures also on GitHub"
    assert "widget-view" not in written, "nobody looks at a batch run"
    assert (tmp_path / "report.html").exists()


def test_a_notebook_without_a_kernel_is_refused_in_words(tmp_path):
    path = tmp_path / "bare.ipynb"
    cells = [_cell("words = 'none'", ["parameters"])]
    notebook = {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    path.write_text(json.dumps(notebook))
    with pytest.raises(wb.InputError, match="bare.ipynb"):
        run_pipeline(wb.Workspace().store, str(path), {}, is_shown=False)


def test_a_pipeline_is_seen_running_while_it_runs(tmp_path):
    cells = [
        _cell("words = 'none'", ["parameters"]),
        _cell("import workbench as wb\nassert wb.runs('pipeline')[0].status == 'running', words"),
    ]
    path = tmp_path / "own.ipynb"
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = {"cells": cells, "metadata": {"kernelspec": kernel}}
    path.write_text(json.dumps({**notebook, "nbformat": 4, "nbformat_minor": 5}))
    done = run_pipeline(wb.Workspace().store, str(path), {"words": "数字"}, is_shown=False)
    assert wb.run(f"run:{done.run_id}").status == "succeeded"


def _cell(source, tags=()):
    return {
        "cell_type": "code",
        "id": f"cell{len(source)}",
        "metadata": {"tags": list(tags)},
        "source": source,
        "outputs": [],
        "execution_count": None,
    }


@pytest.mark.full
def test_compress_searches_compares_and_reports(tmp_path):
    parameters = {
        "family": "mlp",
        "epochs": 3,
        "max_drop": 0.03,
        "budget": "4 s",
        "name": "digits-small",
        "report": str(tmp_path / "compress.html"),
    }
    done = run_pipeline(wb.Workspace().store, "compress", parameters, is_shown=False)
    assert wb.run(f"run:{done.run_id}").status == "succeeded"
    assert wb.verify("model:digits-small@champion").number == 1
    page = (tmp_path / "compress.html").read_text(encoding="utf-8")
    assert "variants measured" in page
    assert done.notebook.stat().st_size <= 200_000


@pytest.mark.full
def test_the_second_tutorial_runs_with_a_small_budget():
    path = find_pipeline("compress").parents[1] / "tutorials" / "02-compress.ipynb"
    parameters = {"budget": "5 s", "epochs": 3, "depth": 8}
    done = run_pipeline(wb.Workspace().store, str(path), parameters, is_shown=False)
    text = done.notebook.read_text(encoding="utf-8")
    assert "prune:0.7" in text
    assert "binds" in text


@pytest.mark.full
def test_the_tutorial_of_a_new_method_runs():
    path = find_pipeline("compress").parents[1] / "tutorials" / "03-new-method.ipynb"
    done = run_pipeline(wb.Workspace().store, str(path), {"epochs": 3}, is_shown=False)
    text = done.notebook.read_text(encoding="utf-8")
    assert "round_mantissa:3 + quantize_weights:8" in text
    (study,) = wb.Workspace().store.studies.all()
    rounded = {v.recipe: v for v in wb.study(study.ref).variants}
    assert rounded["round_mantissa:0"].stored_bytes < 0.5 * rounded["baseline"].stored_bytes
