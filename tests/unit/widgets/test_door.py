"""What a page may do with a panel was decided before the page: every message is tried."""

from __future__ import annotations

import ipywidgets
import pytest

from tests.unit.screens.every import FOR_VISITORS
from tests.unit.widgets.making import WIDGETS, finished, made
from workbench.widgets.live.door import Closed

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
KINDS = (*WIDGETS, "page")
# What a page may set, and what of it is no good.
INPUTS = {
    ("study", "chosen"): ("half:fp16", [7, None, "x" * 70_000]),
    ("study", "knobs"): ({"prune": {"on": True}}, [7, "x", {"x": "y" * 70_000}]),
    ("study", "budget"): ({"drop": 2.0, "kb": None}, [{"drop": "x"}, {"other": 1}, []]),
    ("app", "selected"): ("train", ["nowhere", 3, None, []]),
}
EVERYWHERE = {"dismiss", "enter", "refresh"}
OTHER = {bool: True, int: 7, str: "set by a page", dict: {"set": 1}, list: ["x"], tuple: ["x"]}


@pytest.fixture
def message(monkeypatch):
    """Sends a panel what a page would, over the way that its messages come."""

    def send(panel, method, **data):
        raw = {"content": {"data": {"method": method, **data}}, "buffers": []}
        panel._handle_msg(raw)
        return panel

    return send


@pytest.mark.parametrize("is_readonly", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_a_page_sets_its_inputs_and_no_other_trait(road, message, kind, is_readonly):
    panel = made(road, kind) if kind == "page" else made(road, kind, is_readonly=is_readonly)
    for name in panel.keys:
        before = getattr(panel, name)
        other = OTHER.get(type(before), "set by a page")
        message(panel, "update", state={name: other})
        assert (kind, name) in INPUTS or getattr(panel, name) == before, name
    for (_, name), (good, bad) in ((k, v) for k, v in INPUTS.items() if k[0] == kind):
        message(panel, "update", state={name: good})
        assert getattr(panel, name) == getattr(panel.screen, name) == good
        for value in bad:
            message(panel, "update", state={name: value})
            assert getattr(panel, name) == good, name


@pytest.mark.parametrize("kind", WIDGETS)
def test_a_read_only_panel_has_no_handler_for_what_changes_something(road, message, kind):
    panel = made(road, kind, is_readonly=True)
    allowed = EVERYWHERE | FOR_VISITORS[kind]
    every = set(made(road, kind).screen.commands)
    message(panel, "update", state={"is_readonly": False, "commands": {}, "busy": []})
    panel.is_readonly = False  # even if it could be set: the commands are not there
    for name in sorted(every - allowed):
        panel.screen.banner = None
        message(panel, "custom", content={"do": name, "args": {}})
        finished(panel)
        assert f"No command '{name}'" in panel.banner["message"]
    assert set(panel.screen.commands) == allowed


@pytest.mark.parametrize("content", [None, 7, [], {"do": 7}, {"do": None}, {"args": {}}])
def test_messages_that_are_none_are_left_alone(road, message, content):
    panel = made(road, "version")
    message(panel, "custom", content=content)
    assert panel.banner is None


@pytest.mark.parametrize("args", [7, [1], "x", {"nothing_known": 1}])
def test_strange_arguments_become_the_banner(road, message, args):
    panel = made(road, "version")
    message(panel, "custom", content={"do": "verify", "args": args})
    finished(panel)
    assert panel.banner["message"]


def test_a_page_is_told_again_what_it_tried_to_set(road, message, monkeypatch):
    panel, sent = made(road, "study", is_readonly=True), []
    monkeypatch.setattr(panel, "send_state", lambda key=None: sent.append(key))
    message(panel, "update", state={"is_readonly": False, "unknown": 1})
    assert sent == [["is_readonly"]]


def test_a_page_opens_no_panel_by_itself(road):
    state = made(road, "study").get_state()
    names = ("model_module", "model_module_version", "model_name")
    names += ("view_module", "view_module_version", "view_name")
    with pytest.raises(KeyError):
        ipywidgets.Widget.widget_types.get(*(state[f"_{name}"] for name in names))


def test_every_panel_is_closed(road):
    assert all(issubclass(kind, Closed) for kind in WIDGETS.values())
    page = made(road, "page")
    assert all(isinstance(widget, Closed) for widget in (page, page.tabs, page._room))
