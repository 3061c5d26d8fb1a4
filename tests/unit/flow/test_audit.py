"""`workbench audit` and `--why`, in the shell's own words."""

import json

from typer.testing import CliRunner

from tests.unit.serving import models
from workbench.flow.cli.main import app
from workbench.store import open_store


def call(*arguments):
    done = CliRunner().invoke(app, arguments, env={"COLUMNS": "200"})
    assert done.exit_code == 0, done.output
    return done.stdout


def test_who_did_what_and_why_is_shown_newest_first(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    store = open_store(tmp_path / "home")
    for shift in (0.0, 1.0):
        models.register(store, "数字", models.save_digits(tmp_path / "d.onnx", shift=shift))
    models.register(store, "other", models.save_digits(tmp_path / "d.onnx"))
    call("promote", "数字", "1")
    call("promote", "数字", "2", "--why", "better on the new data")
    call("rollback", "数字", "--why", "slower than promised")
    entries = json.loads(call("audit", "数字", "--last", "3", "--json"))
    assert [(e["action"], e["data"]["reason"]) for e in entries] == [
        ("rollback", "slower than promised"),
        ("promote", "better on the new data"),
        ("promote", ""),
    ]
    shown = call("audit")
    assert "slower than promised" in shown
    assert "model:other@1" in shown
    assert "model:other@1" not in call("audit", "数字")
