"""Runs as the user holds them, with the real training in real processes."""

import os
import signal
import threading
import time

import numpy as np
import pytest

import workbench as wb
from workbench.core.errors import NotFoundError, StateError
from workbench.flow.run import Run

OPTIONS = {"family": "mlp", "seed": 3, "threads": 1, "batch_size": 32}


@pytest.fixture
def data():
    return wb.load("digits", split=(0.5, 0.25, 0.25))


def wait_for(condition, timeout_s=60):
    deadline, pause = time.monotonic() + timeout_s, threading.Event()
    while not condition():
        assert time.monotonic() < deadline, "the condition never came true"
        pause.wait(0.01)  # leaves the core to what is waited for


def epochs_of(run):
    return len(run.history())


def weights_of(run):
    from workbench.families.network import load_network
    from workbench.store import open_store

    store = open_store()
    network = load_network(store, store.artifacts.get(run.outputs["model"]))
    return {k: v.numpy() for k, v in network.state_dict().items()}


def test_a_run_goes_on_in_the_background_and_any_process_can_re_attach(data):
    run = wb.train(data, epochs=3, **OPTIONS)
    assert run.status in ("created", "running", "succeeded")
    again = wb.run(run.ref).wait(progress=False)
    assert again.status == "succeeded"
    assert again.metrics["val_accuracy"] > 0.8
    assert epochs_of(again) == 3
    assert [r.ref for r in wb.runs("train")] == [run.ref]


def test_pause_stop_and_resume(data):
    run = wb.train(data, epochs=400, **OPTIONS)
    wait_for(lambda: epochs_of(run) >= 1)
    run.pause()
    wait_for(lambda: run.status == "paused")
    seen = epochs_of(run)
    run.resume()
    wait_for(lambda: epochs_of(run) > seen)
    run.stop()
    run.wait(progress=False)
    assert run.status == "cancelled"
    assert run.outputs["model"]
    with pytest.raises(StateError, match="ended"):
        run.pause()


@pytest.mark.full
def test_killed_then_resumed_is_the_same_as_never_killed(data):
    options = {**OPTIONS, "epochs": 40}
    whole = wb.train(data, **options).wait(progress=False)
    run = wb.train(data, **options)
    checkpoint = wb.Workspace().store.runs.directory(run.id) / "checkpoint.safetensors"
    wait_for(checkpoint.exists)
    os.kill(run._process.pid, signal.SIGKILL)
    run._process.wait()
    assert run.status == "interrupted"
    assert epochs_of(run) < 40
    run.resume().wait(progress=False)
    assert run.status == "succeeded"
    expected, found = weights_of(whole), weights_of(run)
    assert all(np.array_equal(expected[name], found[name]) for name in expected)
    assert run.metrics["val_accuracy"] == whole.metrics["val_accuracy"]
    assert [row["step"] for row in run.history()] == [row["step"] for row in whole.history()]
    assert [row["val_loss"] for row in run.history()] == [
        row["val_loss"] for row in whole.history()
    ]


def test_a_failed_run_tells_its_cause_in_every_process(data):
    run = wb.train(data, epochs=1, lr=1e30, **OPTIONS)
    with pytest.raises(wb.RunFailedError) as caught:
        run.wait(progress=False)
    assert wb.run(run.ref).error["message"] in str(caught.value)


def test_a_process_that_cannot_start_is_a_failure_with_its_last_words(data, monkeypatch):
    monkeypatch.setenv("PYTHONHOME", "/nowhere")
    run = wb.train(data, epochs=1, **OPTIONS)
    with pytest.raises(wb.WorkbenchError, match=r"(?s)did not start.*encodings"):
        run.wait(60, progress=False)
    assert wb.run(run.ref).status == "failed"


def test_options_nobody_knows_are_refused_at_once_with_the_nearest(data):
    with pytest.raises(wb.InputError) as caught:
        wb.train(data, family="cnn", epoch=3, widht=8)
    text = str(caught.value)
    assert "did you mean 'epochs'" in text
    assert "did you mean 'width'" in text
    assert wb.runs("train") == []


def test_a_module_from_a_cell_is_trained_in_its_own_process(data):
    from torch import nn

    class Cell(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))

        def forward(self, x):
            return self.body(x)

    run = wb.train(data, Cell(), epochs=8, threads=1, lr=0.01).wait(progress=False)
    assert wb.evaluate(run, split="val")["accuracy"] > 0.85
    elsewhere = Run(wb.Workspace().store, run.id)
    assert wb.evaluate(elsewhere, split="val") == wb.evaluate(run, split="val")


def test_an_unknown_run_is_said(store):
    with pytest.raises(NotFoundError, match="workbench runs"):
        wb.run("run:nothing")
