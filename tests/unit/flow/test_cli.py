"""The command line as a person or a program uses it, on real data."""

import json
import os
import signal
import subprocess
import sys

import pytest
from sklearn.datasets import load_wine
from typer.testing import CliRunner

import workbench as wb
from tests.unit.flow.test_run import wait_for
from workbench.flow.cli.app import parse_options
from workbench.flow.cli.main import app

COMMANDS = [
    *(
        "demo",
        "run",
        "load",
        "train",
        "import",
        "study",
        "compress",
        "evaluate",
        "export",
        "register",
    ),
    *("promote", "rollback", "verify", "models", "runs", "endpoints", "serve", "predict"),
    *("stop", "ps", "delete", "gc", "methods", "doctor"),
]
CLI = [sys.executable, "-P", "-m", "workbench.flow.cli.main"]


def call(*arguments, check=True):
    done = subprocess.run(
        [*CLI, *arguments],
        capture_output=True,
        text=True,
        timeout=300,
    )
    if check:
        assert done.returncode == 0, done.stderr
    return done


def call_json(*arguments):
    return json.loads(call(*arguments, "--json").stdout)


def test_every_command_of_the_contract_exists_and_takes_json():
    for command in COMMANDS:
        shown = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "200"})
        assert "--json" in shown.output, command


@pytest.mark.full
def test_the_road_in_the_shell():
    data = call_json("load", "digits", "-o", "split=[0.5,0.25,0.25]")
    assert data["samples"] == {"train": 898, "val": 449, "test": 450}
    run = call_json("train", data["ref"], "--family", "mlp", "--epochs", "4", "-o", "threads=1")
    assert run["status"] == "succeeded"
    study = call_json("study", run["ref"], "quantize_static")
    assert [v["recipe"] for v in study["variants"]] == ["baseline", "quantize_static:8"]
    variant = study["variants"][1]
    metrics = call_json("evaluate", variant["ref"], "--split", "test")
    assert metrics["accuracy"] > 0.85
    for ref in (run["ref"], variant["ref"]):
        version = call_json("register", ref, "数字")
        call("promote", "数字", str(version["number"]))
    assert call_json("rollback", "数字")["number"] == 1
    assert call_json("verify", "model:数字@champion")["verified"] is True
    assert [m["aliases"] for m in call_json("models")] == [["champion"], []]
    assert call("delete", "model:数字@1", check=False).returncode == 1
    call("delete", "model:数字@2")
    _serve_and_ask(data["ref"])
    assert {row["kind"] for row in call_json("runs")} == {"train"}
    assert call_json("gc", "--dry-run")["files"] == 0


def _serve_and_ask(data_ref):
    server = subprocess.Popen(
        [
            sys.executable,
            "-P",
            "-m",
            "workbench.flow.cli.main",
            "serve",
            "model:数字@champion",
            "--json",
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        _ask(server, data_ref)
        os.kill(server.pid, signal.SIGTERM)
        assert server.wait(30) == 0
    finally:
        server.kill()
        server.wait(30)
        server.stdout.close()
    assert call_json("ps") == []


def _ask(server, data_ref):
    ready = json.loads(server.stdout.readline())
    assert ready["models"] == ["数字"]
    assert ready["token"]
    listed = call_json("ps")
    assert [row["what"] for row in listed] == ["数字"]
    assert ready["token"] not in json.dumps(listed)
    picture = wb.load(data_ref).test[0].input.tolist()
    answers = call_json("predict", "数字", json.dumps([picture]))
    assert [len(answer["scores"]) for answer in answers] == [10]
    rows = call("predict", "数字", json.dumps(picture), check=False)
    assert rows.returncode == 1, "a list is a batch: rows of a picture are no pictures"
    assert "A list is always a batch" in rows.stderr


def test_errors_are_words_on_stderr_or_json_and_exit_code_1():
    done = call("verify", "model:nothing", check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("Error: No model 'nothing'")
    assert "Traceback" not in done.stderr
    error = json.loads(call("verify", "model:nothing", "--json", check=False).stderr)["error"]
    assert error["code"] == "not_found"


def test_a_misspelt_parameter_stops_a_pipeline_before_it_runs():
    done = call("run", "classification", "-p", "epochen=3", "-p", "datset=digits", check=False)
    assert done.returncode == 1
    assert "did you mean 'epochs'" in done.stderr
    assert "did you mean 'dataset'" in done.stderr
    assert call_json("runs") == []


def test_a_table_from_the_shell_is_trained_beside_gradient_boosting(tmp_path):
    path = tmp_path / "我的 数据" / "葡萄酒.csv"
    path.parent.mkdir()
    frame = load_wine(as_frame=True).frame
    frame["产地"] = frame.pop("target").map({0: "甲", 1: "乙", 2: "丙"})
    frame.loc[::7, "alcohol"] = float("nan")
    frame.to_csv(path, index=False)
    refused = invoke("load", str(path))
    assert "the columns are alcohol, malic_acid" in str(refused.exception)
    trained = invoke("train", str(path), "--target", "产地", "-o", "threads=1", "--epochs", "3")
    assert "val_accuracy" in trained.output
    assert "HistGradientBoostingClassifier, val_accuracy" in trained.output
    refused = invoke("train", "dataset:葡萄酒")
    assert "dataset:葡萄酒@" in str(refused.exception), "the whole ref is told"


@pytest.mark.full
def test_ctrl_c_stops_what_the_shell_started_and_stop_takes_runs(tmp_path):
    process = subprocess.Popen(
        [*CLI, "train", "digits", "--family", "mlp", "--epochs", "5000", "-o", "threads=1"],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        wait_for(lambda: [r for r in wb.runs("train") if r.history()])
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait(30)
    assert process.returncode == 130
    (run,) = wb.runs("train")
    assert run.status == "cancelled"
    assert run.outputs["model"], "what was best so far is kept"
    assert f'wb.run("{run.ref}").resume()' in output
    run.resume()
    wait_for(lambda: run.status == "running")
    assert "Asked run:" in invoke("stop", run.ref).output
    assert run.wait(60, progress=False).status == "cancelled"


def invoke(*arguments):
    return CliRunner().invoke(app, list(arguments), env={"COLUMNS": "200"})


def test_options_are_read_as_what_they_look_like():
    assert parse_options(["a=1", "b=0.5", "c=true", "d=none", "e=[1, x]", "f=k=v"]) == {
        "a": 1,
        "b": 0.5,
        "c": True,
        "d": None,
        "e": [1, "x"],
        "f": "k=v",
    }
    with pytest.raises(ValueError, match="key=value") as caught:
        parse_options(["a", "b=1", "c"])
    assert caught.value.problems == ("a", "c")
