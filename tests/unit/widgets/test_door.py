"""What a page may do with a panel was decided before the page: every message is tried."""

from __future__ import annotations

import json

import ipywidgets
import pytest

from tests.unit.widgets.test_live import finished, makers
from workbench.screens.endpoint import EndpointScreen
from workbench.screens.run import RunScreen
from workbench.screens.study import StudyScreen
from workbench.screens.version import VersionScreen
from workbench.widgets.live.app import AppWidget, TabsWidget
from workbench.widgets.live.dataset import DatasetWidget
from workbench.widgets.live.door import Closed, command, commands_of
from workbench.widgets.live.endpoint import EndpointWidget
from workbench.widgets.live.run import RunWidget
from workbench.widgets.live.study import StudyWidget
from workbench.widgets.live.version import VersionWidget

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
KINDS = ("run", "dataset", "study", "version", "endpoint", "tabs", "app")
# What a page may set, and what of it is no good.
INPUTS = {
    ("study", "chosen"): ("half:fp16", [7, None, "x" * 70_000]),
    ("study", "knobs"): ({"prune": {"on": True}}, [7, "x", {"x": "y" * 70_000}]),
    ("study", "budget"): ({"drop": 2.0, "kb": None}, [{"drop": "x"}, {"other": 1}, []]),
    ("tabs", "selected"): ("train", ["nowhere", 3, None]),
}
FOR_VISITORS = {
    "run": {"overlay"},
    "dataset": {"look_at", "augment"},
    "study": set(),
    "version": {"select"},
    "endpoint": {"select"},
    "tabs": set(),
}
EVERYWHERE = {"dismiss", "refresh"}
OTHER = {bool: True, int: 7, str: "set by a page", dict: {"set": 1}, list: ["x"], tuple: ["x"]}


@pytest.fixture
def message(monkeypatch):
    """Sends a panel what a page would, over the way that its messages come."""

    def send(panel, method, **data):
        raw = {"content": {"data": {"method": method, **data}}, "buffers": []}
        panel._handle_msg(raw)
        return panel

    return send


def made(road, kind, *, is_readonly=False):
    space = road.workspace
    readonly = {"is_readonly": is_readonly}
    panels = {
        "run": lambda: RunWidget(RunScreen(space, road.run, has_form=True, **readonly)),
        "dataset": lambda: DatasetWidget(space, road.data, has_form=True, **readonly),
        "study": lambda: StudyWidget(StudyScreen(space, road.study, has_form=True, **readonly)),
        "version": lambda: VersionWidget(VersionScreen(space, **readonly)),
        "endpoint": lambda: EndpointWidget(EndpointScreen(space, **readonly)),
        "tabs": lambda: TabsWidget(state={"tabs": ["data"]}, selected="data", **readonly),
        "app": lambda: AppWidget(space, "models", is_single=False),
    }
    return panels[kind]()


@pytest.mark.parametrize("is_readonly", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_a_page_sets_its_inputs_and_no_other_trait(road, message, kind, is_readonly):
    panel = made(road, kind, is_readonly=is_readonly)
    for name in panel.keys:
        before = getattr(panel, name)
        other = OTHER.get(type(before), "set by a page")
        message(panel, "update", state={name: other})
        assert (kind, name) in INPUTS or getattr(panel, name) == before, name
    for (_, name), (good, bad) in ((k, v) for k, v in INPUTS.items() if k[0] == kind):
        message(panel, "update", state={name: good})
        assert getattr(panel, name) == good
        for value in bad:
            message(panel, "update", state={name: value})
            assert getattr(panel, name) == good, name


@pytest.mark.parametrize("kind", KINDS[:-1])
def test_a_read_only_panel_has_no_handler_for_what_changes_something(
    road, message, kind, monkeypatch
):
    panel = made(road, kind, is_readonly=True)
    allowed = EVERYWHERE | FOR_VISITORS[kind] | ({"enter"} if hasattr(panel, "screen") else set())
    assert set(inner(panel).commands) == allowed
    message(panel, "update", state={"is_readonly": False, "commands": {}, "busy": []})
    panel.is_readonly = False  # even if it could be set: the handlers are not there
    for name in sorted(_all_commands(panel) - allowed):
        _explode(monkeypatch, type(inner(panel)), name)
        panel.banner = None
        message(panel, "custom", content={"do": name, "args": {}})
        finished(panel)
        assert f"o command '{name}'" in panel.banner["message"]


@pytest.mark.parametrize("kind", KINDS[:-1])
def test_only_what_is_declared_is_a_command(road, message, kind):
    panel = made(road, kind)
    assert set(inner(panel).commands) == _all_commands(panel)
    for name in ("attach", "look", "guarded", "__init__", "_work", "close", "do_dismiss", ""):
        panel.banner = None
        message(panel, "custom", content={"do": name, "args": {"x": 1}})
        assert "o command" in panel.banner["message"]


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
    panels = [make() for make in makers(road).values()]
    assert all(isinstance(panel, Closed) for panel in panels)
    page = made(road, "app")
    assert all(isinstance(widget, Closed) for widget in (page, page.tabs, page._room))


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


def inner(panel):
    return getattr(panel, "screen", panel)


def _all_commands(panel) -> set[str]:
    names = {name for kind in type(inner(panel)).__mro__ for name in vars(kind)}
    return {name.removeprefix("do_") for name in names if name.startswith("do_")}


def _explode(monkeypatch, kind, name):
    def boom(self, **args):
        pytest.fail(f"{kind.__name__} did {name} {json.dumps(args)}")

    monkeypatch.setattr(kind, f"do_{name}", boom)
