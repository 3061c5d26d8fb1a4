"""Each screen keeps the contract: JSON out, errors as data, nothing to change for visitors."""

from __future__ import annotations

import json

import pytest

from tests.unit.screens.every import FOR_VISITORS, SCREENS
from workbench.screens.commands import commands_of

EVERYWHERE = {"dismiss", "enter", "refresh"}
MOST_BYTES = 100_000


@pytest.fixture(params=SCREENS)
def kind(request):
    return request.param


@pytest.fixture
def screen(road, kind):
    made = SCREENS[kind](road)
    yield made
    made.close()


@pytest.fixture
def visited(road, kind):
    made = SCREENS[kind](road, is_readonly=True)
    yield made
    made.close()


def test_its_first_state_is_json_and_small(screen):
    state = screen.state()
    text = json.dumps(state, allow_nan=False)
    assert json.loads(text) == state
    assert len(text) < MOST_BYTES


def test_its_first_state_stays_small_in_a_large_workspace(road, kind, monkeypatch):
    store, space = road.workspace.store, road.workspace
    many = [*store.runs.list("train"), *[road.run.record] * 1000]
    monkeypatch.setattr(type(space), "models", lambda self: [road.version] * 1000)
    monkeypatch.setattr(type(store.runs), "list", lambda self, *a: many[: a[1] if a[1:] else None])
    for table, found in ((store.datasets, "list"), (store.studies, "all")):
        records = getattr(table, found)() * 1000
        monkeypatch.setattr(type(table), found, lambda self, records=records: records)
    screen = SCREENS[kind](road)
    assert len(json.dumps(screen.state())) < MOST_BYTES
    screen.close()


@pytest.mark.parametrize("name", ["fly", "", "__init__", "attach", "look", "do_dismiss", "close"])
def test_what_is_no_command_is_an_error(screen, name):
    assert "No command" in screen.do(name, {})["error"]["message"]


FOLLOWED = ("offer", "live", "recent", "traffic")


def known(screen):
    """What is shown, but for what is found out in the background."""
    return {name: value for name, value in screen.state().items() if name not in FOLLOWED}


def test_bad_arguments_of_any_command_are_errors_and_nothing_is_done(screen):
    before = known(screen)
    for name in screen.commands:
        for bad in ({"nothing_known": 1}, [1], "x", 7):
            error = screen.do(name, bad)["error"]
            assert error["code"] == "bad_input", (name, bad, error)
            assert name in error["message"]
    screen.do("dismiss")
    assert known(screen) == before


def test_a_visitor_has_no_command_that_changes_something(screen, visited, kind, road):
    allowed = EVERYWHERE | FOR_VISITORS[kind]
    assert set(visited.commands) == allowed
    every = {m.removeprefix("do_") for t in type(screen).__mro__ for m in vars(t) if m[:3] == "do_"}
    assert set(screen.commands) == every
    before, audit = known(visited), len(list(road.workspace.store.audit.entries()))
    visited.is_readonly = False  # even if it could be set: the commands are not there
    for name in sorted(every - allowed):
        assert f"No command '{name}'" in visited.do(name, {})["error"]["message"]
    visited.is_readonly = True
    visited.do("dismiss")
    assert len(list(road.workspace.store.audit.entries())) == audit
    assert known(visited) == before


def test_every_command_says_what_it_does_and_of_which_type_each_argument_is(screen):
    for name, command in commands_of(screen, is_readonly=False).items():
        assert command.work.__doc__, name
        taken = {k: v for k, v in command.work.__annotations__.items() if k != "return"}
        assert command.work.__code__.co_argcount == len(taken) + 1, name
        assert command.work.__code__.co_flags & 0x0C == 0, f"{name} takes *args or **kwargs"
