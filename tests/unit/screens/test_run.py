"""A run: each command does what its line of Python does; curves are small and complete."""

from __future__ import annotations

import base64
import json

import numpy as np
import pytest

from workbench.screens.run import RunScreen
from workbench.screens.views.run import RunView


@pytest.fixture
def screen(road):
    made = RunScreen(road.workspace, road.run, has_form=True)
    yield made
    made.close()


def test_a_finished_run_is_followed_no_more(screen):
    assert screen.facts["status"] == "succeeded"
    assert screen.look() is False
    for name in ("stop", "pause"):
        assert "has ended" in screen.do(name)["error"]["message"]


def test_training_is_one_line_of_python(road, screen, in_python):
    options = {"epochs": 1, "seed": 3}
    arguments = {"data": road.data.ref, "family": "linear", "options": options}
    assert "error" not in screen.do("train", arguments)
    again = in_python(screen.code).wait()
    shown = road.workspace.run(screen.facts["ref"])
    assert shown.ref != again.ref
    assert shown.metrics["val_loss"] == pytest.approx(again.metrics["val_loss"])
    assert "No data is chosen" in screen.do("train", {**arguments, "data": ""})["error"]["message"]


def test_another_run_is_opened_and_laid_over(road, in_python):
    other = road.workspace.train(road.data, family="linear", epochs=1, seed=9)
    screen = RunScreen(road.workspace, road.run, is_readonly=True)
    screen.do("overlay", {"ref": other.ref, "is_shown": True})
    assert list(screen.curves) == [road.run.ref, other.ref]
    screen.do("overlay", {"ref": other.ref, "is_shown": False})
    assert list(screen.curves) == [road.run.ref]
    opened = RunScreen(road.workspace, road.run)
    opened.do("open", {"ref": other.ref})
    assert opened.facts["ref"] == in_python(opened.code).ref == other.ref


def test_compressing_hands_the_run_on(road):
    handed = []
    screen = RunScreen(road.workspace, road.run, on_study=handed.append)
    screen.do("study")
    assert [run.ref for run in handed] == [road.run.ref]
    assert screen.code == f'wb.study("{road.run.ref}")'


def test_the_curves_of_a_long_run_stay_small(road, monkeypatch):
    view = RunView(road.run)
    view.rows = [{"step": i, "train_loss": 1 / i, "val_loss": 2 / i} for i in range(1, 20_000)]
    view.batches = [(i / 10, 1.0) for i in range(300_000)]
    curves = view.curves()
    assert len(json.dumps(curves)) < 50_000
    first = np.frombuffer(base64.b64decode(curves["epochs"]), np.float32)[:4]
    assert first[:3].tolist() == [1, 1, 2]
