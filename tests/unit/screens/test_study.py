"""The explorer: each command does what its line of Python does."""

from __future__ import annotations

import threading

import pytest

from workbench.flow.workspace import Workspace
from workbench.screens.study import StudyScreen


class Told:
    """What a screen told; waits until something holds of it."""

    def __init__(self, screen):
        self.screen, self.more = screen, threading.Condition()
        screen.subscribe(self)

    def __call__(self, news):
        with self.more:
            self.more.notify_all()

    def until(self, holds):
        with self.more:
            assert self.more.wait_for(lambda: holds(self.screen), 120), self.screen.state()


@pytest.fixture
def screen(road):
    made = StudyScreen(road.workspace, road.study, has_form=True)
    yield made
    made.close()


def rested(screen):
    return not screen.measuring


def test_what_is_asked_is_measured_and_chosen(road, screen, in_python):
    before, told = len(road.study.variants), Told(screen)
    assert screen.chosen == "half:fp16"
    assert "error" not in screen.do("measure", {"recipe": "prune:0.30"})
    told.until(lambda s: s.chosen == "prune:0.3" and rested(s))
    assert screen.banner is None
    same = in_python(screen.code, study=road.study)
    (point,) = [p for p in screen.facts["points"] if p["recipe"] == "prune:0.3"]
    assert (point["score"], point["size_bytes"]) == (same.score, same.size_bytes)
    wanted = f"{before + 1} variants"
    told.until(lambda s: wanted in [f["label"].split(" · ")[-1] for f in s.form["studies"]])


def test_a_search_is_one_line_of_python(tmp_path):
    space = Workspace(tmp_path / ".workbench", inline=True)
    study = space.study(space.train(space.load("digits"), family="linear", epochs=1))
    screen = StudyScreen(space, study)
    told = Told(screen)
    goal = {"max_drop": 0.5, "minimize": "size_bytes", "budget": 2, "max_size": None}
    assert "error" not in screen.do("search", goal)
    told.until(lambda s: s.banner or (s.code.startswith("study.search(") and rested(s)))
    assert screen.code == "study.search(max_drop=0.5, minimize='size_bytes', budget=2)"
    assert screen.results[screen.chosen]["found"]
    screen.close()


def test_a_recipe_that_cannot_be_is_told(screen):
    error = screen.do("measure", {"recipe": "prun:0.3"})["error"]
    assert "prune" in str(error)
    assert (
        "was not measured"
        in screen.do("register", {"recipe": "x", "name": "y"})["error"]["message"]
    )
    assert "Register it first" in screen.do("promote", {"recipe": "x"})["error"]["hint"]


def test_registering_and_promoting_are_lines_of_python(road, screen, in_python):
    models = road.workspace.store.models
    screen.do("register", {"recipe": "half:fp16", "name": "from-panel"})
    assert screen.results["half:fp16"]["version"] == "model:from-panel@1"
    assert in_python(screen.code).ref == "model:from-panel@1"
    screen.do("promote", {"recipe": "half:fp16"})
    assert models.aliases("from-panel") == {"champion": 1}
    assert in_python(screen.code).ref == "model:from-panel@1"


def test_a_variant_is_served(road, screen):
    screen.do("serve", {"recipe": "half:fp16"})
    ref = screen.results["half:fp16"]["endpoint"]
    (running,) = [e for e in road.workspace.endpoints() if e.ref == ref]
    running.stop()
    assert screen.code.startswith('wb.serve("')


def test_what_was_registered_before_a_restart_is_shown_as_registered(road, screen):
    screen.do("register", {"recipe": "half:fp16", "name": "kept"})
    road.workspace.promote("kept", 1)
    again = StudyScreen(road.workspace, road.workspace.study(road.study.ref))
    assert again.results["half:fp16"] == {"version": "model:kept@1", "promoted": "champion"}
    other = road.workspace.study(road.workspace.train(road.data, family="linear", epochs=1, seed=5))
    other.measure("half:fp16")
    fresh = StudyScreen(road.workspace, other)
    assert fresh.results == {}
    again.close()
    fresh.close()


def test_another_study_is_opened(road, screen, in_python):
    other = road.workspace.study(road.workspace.train(road.data, family="linear", epochs=1, seed=6))
    screen.do("open", {"ref": other.ref})
    assert screen.facts["ref"] == in_python(screen.code).ref == other.ref
