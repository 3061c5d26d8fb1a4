"""Live panels bind screens: fields are synced traits, commands come as messages."""

from __future__ import annotations

import base64
import json
import threading

import pytest
from ipywidgets.widgets.widget import _remove_buffers

from tests.unit.widgets.making import WIDGETS, made, press
from workbench.core.errors import InputError
from workbench.screens.app import AppScreen
from workbench.screens.commands import command
from workbench.screens.dataset import DatasetScreen
from workbench.screens.screen import Screen
from workbench.screens.study import StudyScreen
from workbench.widgets.live.app import AppWidget
from workbench.widgets.live.binding import STATIC, LivePanel
from workbench.widgets.live.dataset import DatasetWidget
from workbench.widgets.live.study import StudyWidget
from workbench.widgets.live.version import VersionWidget

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


class Desk(Screen):
    """A screen with one command that fails and one that tells a secret."""

    @command()
    def do_work(self):
        raise InputError("Got 3, 4 would be right.", hint="Give 4.")

    @command()
    def do_secret(self):
        return {"token": "abc"}


@pytest.mark.parametrize("kind", WIDGETS)
def test_a_panel_shows_every_field_of_its_screen(road, kind):
    panel = made(road, kind)
    shown = panel.screen.state()
    missing = {name for name in shown if not panel.has_trait(name)}
    assert missing == ({"table"} if kind == "study" else set())
    panel.screen.close()
    for name in set(shown) - {"curves", *missing}:
        assert getattr(panel, name) == panel.screen.state()[name], name


@pytest.mark.parametrize("kind", WIDGETS)
def test_the_first_message_is_small(road, kind):
    panel = made(road, kind)
    state, _, buffers = _remove_buffers(panel.get_state())
    size = len(json.dumps(state)) + sum(memoryview(b).nbytes for b in buffers)
    assert size < 100_000, size
    panel.close()


def test_an_error_becomes_the_banner_with_the_command_to_repeat():
    panel = press(LivePanel(Desk()), "work")
    assert panel.banner["message"] == "Got 3, 4 would be right."
    assert (panel.banner["hint"], panel.banner["command"]) == ("Give 4.", "work")
    press(panel, "dismiss")
    assert panel.banner is None
    assert "'fly'" in press(panel, "fly").banner["message"]


def test_what_is_told_to_the_caller_alone_is_sent_and_not_kept():
    panel, sent = LivePanel(Desk()), []
    panel.send = lambda content, buffers=None: sent.append(content)
    press(panel, "secret")
    assert sent == [{"token": "abc"}]
    assert "abc" not in json.dumps(panel.get_state(), default=str)


def test_a_closed_panel_closes_its_screen():
    panel = LivePanel(Desk())
    panel.close()
    panel.screen.code = "wb.app()"
    assert panel.code == ""


def test_curves_go_to_the_page_as_bytes(road):
    panel = made(road, "run")
    text = panel.screen.curves[road.run.ref]["epochs"]
    assert panel.curves[road.run.ref]["epochs"] == base64.b64decode(text)


def test_the_page_opens_a_tab_when_it_is_chosen(road):
    page = AppWidget(AppScreen(road.workspace, "data"), is_single=False)
    assert list(page._panels) == ["data"]
    opened = threading.Event()
    page.tabs.observe(lambda change: opened.set(), "opened")
    asked = {"method": "update", "state": {"selected": "models"}}
    page.tabs._handle_msg({"content": {"data": asked}, "buffers": []})
    assert opened.wait(20)
    assert isinstance(page._room.children[0], VersionWidget)
    page.tabs.close()


def test_a_file_comes_in_pieces_beside_the_messages(road):
    panel, content = DatasetWidget(DatasetScreen(road.workspace, has_form=True)), b"a,b\n1,2\n"
    begin = {"id": "0123456789abcdef", "files": [["kinds.csv", len(content)]]}
    press(panel, "upload_begin", **begin)
    parts = [{"path": "kinds.csv", "at": 0}]
    message = {"do": "upload", "args": {"id": begin["id"], "parts": parts}}
    panel._received(panel, message, [memoryview(content)])
    assert panel.uploading["found"]["columns"] == ["a", "b"]
    for strange in ([7], "x", [{"path": 3}]):
        panel._received(panel, {"do": "upload", "args": {"parts": strange}}, [memoryview(b"x")])
        assert panel.banner["command"] == "upload"


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
