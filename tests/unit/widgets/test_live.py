"""Live panels: commands run beside the message, errors become the banner, messages stay small."""

from __future__ import annotations

import json
import threading

import pytest

from workbench.core.errors import InputError
from workbench.flow.workspace import Workspace
from workbench.screens.endpoint import EndpointScreen
from workbench.screens.run import RunScreen
from workbench.screens.study import StudyScreen
from workbench.screens.version import VersionScreen
from workbench.widgets.live.app import AppWidget
from workbench.widgets.live.base import STATIC, LivePanel
from workbench.widgets.live.dataset import DatasetWidget
from workbench.widgets.live.door import command
from workbench.widgets.live.endpoint import EndpointWidget
from workbench.widgets.live.run import RunWidget
from workbench.widgets.live.study import StudyWidget
from workbench.widgets.live.version import VersionWidget

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


class Slow(LivePanel):
    """A panel with one slow command."""

    def __init__(self, **traits):
        super().__init__(**traits)
        self.gate, self.calls, self.began = threading.Event(), 0, threading.Event()

    @command()
    def do_work(self, bad: bool = False):
        self.calls += 1
        self.began.set()
        self.gate.wait(5)
        if bad:
            raise InputError("Got 3, 4 would be right.", hint="Give 4.")

    @command()
    def do_stumble(self):
        raise ZeroDivisionError("oops")


class Unsteady(LivePanel):
    """A panel whose news cannot be read for a while."""

    is_broken, looks = True, 0

    def look(self):
        self.looks += 1
        if self.is_broken:
            raise OSError("gone")
        return False


def finished(panel):
    for thread in threading.enumerate():
        if thread.daemon and ("_work" in thread.name or thread.name.startswith("do_")):
            thread.join(20)
    return panel


def press(panel, command, **args):
    panel._received(panel, {"do": command, "args": args}, [])


def test_a_second_click_while_it_works_does_nothing():
    panel = Slow()
    press(panel, "work")
    panel.began.wait(5)
    press(panel, "work")
    assert panel.busy == ["work"]
    panel.gate.set()
    finished(panel)
    assert (panel.calls, panel.busy) == (1, [])


def test_an_error_becomes_the_banner():
    panel = Slow()
    panel.gate.set()
    press(panel, "work", bad=True)
    finished(panel)
    assert panel.banner["message"] == "Got 3, 4 would be right."
    assert panel.banner["hint"] == "Give 4."
    press(panel, "stumble")
    finished(panel)
    assert "ZeroDivisionError" in panel.banner["message"]
    press(panel, "dismiss")
    finished(panel)
    assert panel.banner is None


def test_an_unknown_command_and_one_that_a_dashboard_may_not():
    panel = Slow()
    press(panel, "fly")
    assert "fly" in panel.banner["message"]
    panel = Slow(is_readonly=True)
    press(panel, "work")
    assert panel.calls == 0
    press(panel, 7)


def makers(road):
    space = road.workspace
    return {
        "run": lambda: RunWidget(RunScreen(space, road.run, has_form=True)),
        "dataset": lambda: DatasetWidget(space, road.data, has_form=True),
        "study": lambda: StudyWidget(StudyScreen(space, road.study, has_form=True)),
        "version": lambda: VersionWidget(VersionScreen(space)),
        "endpoint": lambda: EndpointWidget(EndpointScreen(space)),
    }


@pytest.mark.parametrize("name", ["run", "dataset", "study", "version", "endpoint"])
def test_the_first_message_is_small(road, name):
    widget = makers(road)[name]()
    state, _, buffers = _split(widget)
    size = len(json.dumps(state)) + sum(len(b) for b in buffers)
    assert size < 100_000, size


def _split(widget):
    from ipywidgets.widgets.widget import _remove_buffers

    state, paths, buffers = _remove_buffers(widget.get_state())
    return state, paths, [memoryview(b).tobytes() for b in buffers]


def test_the_page_opens_a_tab_when_it_is_chosen(road):
    page = AppWidget(road.workspace, "data", is_single=False)
    assert list(page._panels) == ["data"]
    opened = threading.Event()
    page.tabs.observe(lambda change: opened.set(), "opened")
    page.tabs.selected = "models"
    assert opened.wait(20)
    assert isinstance(page._room.children[0], VersionWidget)


def test_data_that_was_loading_when_the_train_tab_opened_is_offered_there(tmp_path):
    space = Workspace(tmp_path / ".workbench", inline=True)
    page = AppWidget(space, "data", is_single=False)
    training = page.panel("train")
    assert training.form["datasets"] == []
    with pytest.raises(InputError, match="No data is chosen"):
        training.screen.do_train("", "cnn", {})
    page.panel("data").do_load("digits", {})
    (offered,) = training.form["datasets"]
    assert offered["ref"] == page.panel("data")._shown.ref


def test_what_cannot_be_followed_is_stale_until_it_is_asked_for_again():
    panel = Unsteady()
    assert panel.tick() is False
    assert "OSError: gone" in panel.stale
    assert panel.banner is None
    panel.is_broken = False
    press(panel, "refresh")
    finished(panel)
    assert panel.stale == ""
    assert panel.looks >= 2


def test_the_banner_names_the_command_so_that_it_can_be_repeated():
    panel = Slow()
    panel.gate.set()
    press(panel, "work", bad=True)
    finished(panel)
    assert panel.banner["command"] == "work"


def test_the_page_gets_code_and_table_and_again_when_it_is_loaded_again(road):
    if not road.study.estimator.is_refined:
        road.study.refine()
    panel, sent, more = (
        StudyWidget(StudyScreen(road.workspace, road.study)),
        [],
        threading.Condition(),
    )

    def receive(content, buffers=None):
        with more:
            sent.append((content, buffers))
            more.notify_all()

    panel.send = receive
    for count in (1, 2):
        panel._received(panel, {"do": "estimate", "args": {"recipe": ""}}, [])
        with more:
            assert more.wait_for(lambda wanted=count: len(sent) >= wanted, 60)
    for content, (numbers,) in sent:
        assert "export function estimate" in content["code"]
        assert content["ref"] == road.study.ref
        assert json.dumps(content["table"])
        assert 0 < len(numbers) < 1_000_000
    panel.close()


def test_no_literal_of_a_script_spans_lines_since_margins_are_cut():
    for path in STATIC.glob("*.js"):
        odd = [line for line in path.read_text("utf-8").splitlines() if line.count("`") % 2]
        assert odd == [], path.name
