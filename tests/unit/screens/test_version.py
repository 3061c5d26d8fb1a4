"""Versions: each command does what its line of Python does."""

from __future__ import annotations

import pytest

from workbench.screens.version import VersionScreen


@pytest.fixture
def model(road):
    """A model of its own with two versions, of which the first is the champion."""
    name = f"two-{len(road.workspace.store.models.names())}"
    first = road.workspace.register(road.run, name)
    road.workspace.register(road.study.measure("half:fp16"), name)
    road.workspace.promote(name, first)
    return name


@pytest.fixture
def screen(road, model):
    made = VersionScreen(road.workspace, model)
    yield made
    made.close()


def test_promoting_is_one_line_of_python(road, screen, model, in_python):
    screen.do("promote", {"ref": f"model:{model}@2", "alias": "champion", "expected": 1})
    assert road.workspace.store.models.aliases(model) == {"champion": 2}
    assert screen.code == f'wb.promote("{model}", 2)'
    assert "wb.rollback" in screen.notes[f"model:{model}@2"]
    road.workspace.promote(model, 1)
    in_python(screen.code)
    assert road.workspace.store.models.aliases(model) == {"champion": 2}


def test_rolling_back_is_one_line_of_python(road, screen, model, in_python):
    road.workspace.promote(model, 2)
    screen.do("rollback", {"name": model})
    assert road.workspace.store.models.aliases(model) == {"champion": 1}
    road.workspace.promote(model, 2, force=True)
    in_python(screen.code)
    assert road.workspace.store.models.aliases(model) == {"champion": 1}
    screen.do("refresh")
    assert screen.facts["selected"]["ref"] == f"model:{model}@1"


def test_what_was_verified_is_noted_by_version(screen, model, in_python):
    assert screen.checks == {}
    screen.do("verify", {"ref": f"model:{model}@1"})
    assert screen.checks[f"model:{model}@1"]["is_good"]
    assert in_python(screen.code).ref == f"model:{model}@1"
    screen.do("verify_all")
    assert set(screen.checks) == {row["ref"] for row in screen.facts["rows"]}


def test_promoting_is_refused_when_the_alias_moved_meanwhile(road, screen, model):
    error = screen.do("promote", {"ref": f"model:{model}@2", "expected": 99})["error"]
    assert error["code"] == "conflict"
    assert "points at 1, not at 99" in error["message"]
    assert road.workspace.store.models.aliases(model) == {"champion": 1}


def test_a_visitor_may_look_at_another_version(road, model):
    screen = VersionScreen(road.workspace, model, is_readonly=True)
    screen.do("select", {"ref": f"model:{model}@1"})
    assert screen.facts["selected"]["number"] == 1
    screen.close()


def test_of_many_versions_the_newest_and_what_an_alias_points_at_are_shown(
    road, model, monkeypatch
):
    first, second = (road.workspace.version(f"model:{model}@{n}") for n in (1, 2))
    many = [first, *[second] * 500]
    monkeypatch.setattr(type(road.workspace), "models", lambda self: many)
    screen = VersionScreen(road.workspace, model)
    shown = [row["number"] for row in screen.facts["rows"]]
    assert (shown[0], shown[-1]) == (2, 1)
    assert len(shown) + screen.facts["more"] == 501
    screen.close()
