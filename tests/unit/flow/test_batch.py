"""Batch: the same step twice is one run; an interrupted one goes on."""

import pytest

import workbench as wb
from workbench.flow.batch import BATCH_VARIABLE
from workbench.flow.workspace import Workspace
from workbench.store import RunContext

OPTIONS = {"family": "mlp", "epochs": 4, "threads": 1, "hidden": [16]}


@pytest.fixture
def batch(ready, monkeypatch):
    monkeypatch.setenv(BATCH_VARIABLE, "1")
    space = Workspace(ready.space.store.home.root)
    for run in space.runs():
        space.store.db.execute("DELETE FROM runs WHERE id = ?", run.id)
    return space


def test_training_twice_is_one_run_and_any_difference_is_another(batch, ready):
    first = batch.train(ready.data, **OPTIONS)
    assert first.status == "succeeded", "batch works inline"
    assert batch.train(ready.data.ref, **OPTIONS).ref == first.ref
    assert batch.train(ready.data, **{**OPTIONS, "seed": 1}).ref != first.ref
    other = batch.load("digits", split=(0.5, 0.25, 0.25), seed=7)
    assert batch.train(other, **OPTIONS).ref != first.ref
    assert len(batch.runs()) == 3
    batch.delete(first.ref)
    assert batch.train(ready.data, **OPTIONS).status == "succeeded", "a deleted run is made anew"


def test_an_interrupted_run_goes_on_where_it_was(batch, ready, monkeypatch):
    log = RunContext.log

    def break_off(self, step, **metrics):
        log(self, step, **metrics)
        if step == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(RunContext, "log", break_off)
    with pytest.raises(KeyboardInterrupt):
        batch.train(ready.data, **OPTIONS)
    monkeypatch.setattr(RunContext, "log", log)
    (broken,) = batch.runs()
    assert broken.status in ("interrupted", "cancelled")
    again = batch.train(ready.data, **OPTIONS)
    assert again.ref == broken.ref
    assert again.status == "succeeded"
    assert [row["step"] for row in again.history()] == [1, 2, 3, 4]
    whole = ready.space.train(ready.data, **OPTIONS)
    assert again.metrics["val_loss"] == whole.metrics["val_loss"]


def test_a_failed_step_is_tried_again(batch, ready):
    options = {**OPTIONS, "lr": 1e30}
    for _ in range(2):
        with pytest.raises(wb.WorkbenchError):
            batch.train(ready.data, **options)
    assert {run.status for run in batch.runs()} == {"failed"}
