"""What every screen does: commands with checked arguments, errors as data, changes told once."""

from __future__ import annotations

import json
import threading

import pytest

from workbench.core.errors import InputError
from workbench.screens.commands import command, commands_of
from workbench.screens.screen import Screen
from workbench.screens.showing import Field, is_text


class Desk(Screen):
    """A screen with a slow command, one that stumbles, and an input."""

    total = Field(0)
    words = Field("", check=is_text)

    def __init__(self, **options):
        super().__init__(**options)
        self.gate, self.began = threading.Event(), threading.Event()

    @command()
    def do_work(self, bad: bool = False):
        self.began.set()
        assert self.gate.wait(20)
        if bad:
            raise InputError("Got 3, 4 would be right.", hint="Give 4.")
        self.total += 1

    @command()
    def do_stumble(self):
        raise ZeroDivisionError("oops")

    @command(is_instant=True)
    def do_add(self, count: int, share: float | None = None):
        with self.together():
            self.total += count
            self.code = f"add({count})"

    @command()
    def do_secret(self):
        return {"secret": "abc"}


class Unsteady(Screen):
    """A screen whose news cannot be read for a while."""

    is_broken, looks = True, 0

    def look(self):
        self.looks += 1
        if self.is_broken:
            raise OSError("gone")
        return False


def test_a_command_answers_with_what_changed():
    desk = Desk()
    assert desk.do("add", {"count": 2}) == {"state": {"total": 2, "code": "add(2)"}, "reply": {}}
    assert desk.state()["total"] == 2


def test_what_is_told_to_the_caller_alone_is_not_shown():
    desk = Desk()
    assert desk.do("secret")["reply"] == {"secret": "abc"}
    assert "abc" not in json.dumps(desk.state())


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("fly", {}, "No command 'fly'"),
        ("ad", {}, "did you mean 'add'?"),
        ("x" * 100_000, {}, "No command 'xxx"),
        ("__init__", {}, "No command"),
        ("add", {}, "count: Field required"),
        ("add", {"count": "2"}, "count: Input should be a valid integer, got '2'"),
        ("add", {"count": 2, "cuont": 3}, "unknown option 'cuont'; did you mean 'count'?"),
        ("add", {"count": 1, "share": []}, "share:"),
        ("add", [1], "are no object; got a list"),
        ("add", 7, "are no object"),
        ("enter", {"values": {"total": 7}}, "cannot set 'total'"),
        ("enter", {"values": {"words": 7}}, "cannot set 'words'"),
    ],
)
def test_what_is_asked_wrongly_is_an_error_as_data(name, arguments, words):
    desk = Desk()
    error = desk.do(name, arguments)["error"]
    assert words in " ".join([error["message"], *error["problems"]])
    assert error["hint"] or error["problems"] or "object" in error["message"]
    assert desk.banner == error
    assert (desk.total, desk.words) == (0, "")
    json.dumps(error)


def test_an_error_becomes_the_banner_with_the_command_that_can_be_repeated():
    desk = Desk()
    desk.gate.set()
    error = desk.do("work", {"bad": True})["error"]
    assert (error["message"], error["hint"]) == ("Got 3, 4 would be right.", "Give 4.")
    assert error["command"] == "work"
    assert "ZeroDivisionError" in desk.do("stumble")["error"]["message"]
    assert "ZeroDivisionError" in desk.state()["banner"]["message"]
    desk.do("dismiss")
    assert desk.state()["banner"] is None


def test_a_command_under_way_is_not_done_twice():
    desk, ended = Desk(), threading.Event()
    desk.start("work", {}, lambda answer: ended.set())
    assert desk.began.wait(20)
    desk.start("work", {}, lambda answer: pytest.fail("it was started twice"))
    assert desk.do("work")["error"]["code"] == "conflict"
    assert desk.state()["busy"] == ["work"]
    desk.gate.set()
    assert ended.wait(20)
    assert (desk.total, desk.busy) == (1, [])


def test_changes_made_together_are_told_once_and_only_if_there_are_any():
    desk, told = Desk(), []
    leave = desk.subscribe(lambda news: told.append(dict(news)))
    desk.do("add", {"count": 3})
    desk.total = 3
    assert told == [{"total": 3, "code": "add(3)"}]
    leave()
    desk.total = 4
    assert len(told) == 1


def test_a_view_that_fails_keeps_nothing_from_the_others():
    desk, told = Desk(), []

    def broken(news):
        raise RuntimeError("this view is gone")

    desk.subscribe(broken)
    desk.subscribe(lambda news: told.append(dict(news)))
    assert desk.do("add", {"count": 1})["state"]["total"] == 1
    assert told[0]["total"] == 1


def test_a_page_sets_inputs_that_are_good():
    desk = Desk(is_readonly=True)
    desk.do("enter", {"values": {"words": "hello"}})
    assert desk.words == "hello"
    desk.enter({"words": 7, "total": 5, "nothing": 1})
    assert (desk.words, desk.total) == ("hello", 0)


def test_a_closed_screen_tells_nobody():
    desk, told = Desk(), []
    desk.subscribe(told.append)
    desk.close()
    desk.total = 5
    assert told == []


def test_what_cannot_be_followed_is_stale_until_it_is_asked_for_again():
    screen = Unsteady()
    assert screen.tick() is False
    assert "OSError: gone" in screen.stale
    assert screen.banner is None
    screen.is_broken = False
    screen.do("refresh")
    screen.close()
    assert screen.stale == ""
    assert screen.looks >= 2


def test_a_read_only_screen_has_no_command_that_is_not_for_visitors():
    desk = Desk(is_readonly=True)
    assert set(desk.commands) == {"refresh", "dismiss", "enter"}
    assert "No command 'add'" in desk.do("add", {"count": 1})["error"]["message"]
    desk.is_readonly = False
    assert "error" in desk.do("add", {"count": 1})
    assert desk.total == 0


def test_a_method_that_is_overridden_without_being_declared_is_no_command():
    class Base:
        @command()
        def do_it(self):
            raise AssertionError

    class Other(Base):
        def do_it(self):
            return None

    assert set(commands_of(Base(), is_readonly=False)) == {"it"}
    assert not commands_of(Other(), is_readonly=False)
    assert not commands_of(Base(), is_readonly=True)
