"""Another machine measures a study's variants with numpy and onnxruntime alone."""

import json
import subprocess
import sys

import pytest

import workbench as wb

BLOCKED = """
import runpy, sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"workbench", "torch", "onnx", "pydantic"}:
            raise ImportError(f"{name} is not installed on this machine")
sys.meta_path.insert(0, Blocked())
sys.argv = ["measure_here.py", "--name", "board", "--seconds", "0.02"]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def test_the_folder_runs_without_the_workbench_and_comes_back_as_a_target(ready, tmp_path):
    study = ready.space.study(ready.run, ready.data)
    variant = study.measure("quantize_dynamic")
    folder = study.export_bench(tmp_path / "other machine")
    assert not list(folder.rglob("*.pkl"))
    done = subprocess.run(
        [sys.executable, "-P", "-c", BLOCKED], cwd=folder, capture_output=True, text=True,
        timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    target = study.import_bench(folder / "result.json")
    assert list(study.targets) == ["board"] == [target.name]
    figure = target.of(variant)
    assert figure.p50_ms > 0
    assert figure.ratio.low <= figure.ratio.value <= figure.ratio.high
    assert figure.agreement == 1.0, "the same file on the same CPU"
    assert target.of(study.baseline).max_error == 0.0
    again = wb.study(study.ref).import_bench(folder / "result.json", "second")
    assert again.name == "second"
    assert set(study.targets) == {"board", "second"}
    late = study.measure("half")
    with pytest.raises(wb.NotFoundError, match="was not measured on board"):
        target.of(late)


def test_results_that_do_not_belong_here_are_refused_in_words(ready, tmp_path):
    study = ready.space.study(ready.run, ready.data)
    path = tmp_path / "result.json"
    path.write_text("no JSON")
    with pytest.raises(wb.InputError, match="cannot be read"):
        study.import_bench(path)
    figure = {
        "p50_ms": -1.0, "p95_ms": 1.0, "runs": 3, "agreement": 1.0, "max_error": 0.0,
        "ratio": {"value": 1.0, "low": 1.0, "high": 1.0},
    }  # fmt: skip
    result = {
        "format": 1, "study": "study:other", "name": "x", "machine": {}, "threads": 1, "batch": 1,
        "figures": {"0" * 64: figure},
    }  # fmt: skip
    path.write_text(json.dumps(result))
    with pytest.raises(wb.InputError) as caught:
        study.import_bench(path)
    assert len(caught.value.problems) == 3
    assert not study.targets
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "own.txt").write_text("mine")
    with pytest.raises(wb.InputError, match="not empty"):
        study.export_bench(tmp_path / "full")
