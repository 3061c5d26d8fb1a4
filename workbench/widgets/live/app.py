"""The page with five tabs in the notebook."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ipywidgets
import traitlets

from workbench.flow.workspace import Workspace
from workbench.screens.app import AppScreen
from workbench.widgets.live.binding import LivePanel, script, sheet
from workbench.widgets.live.dataset import DatasetWidget
from workbench.widgets.live.door import Closed
from workbench.widgets.live.endpoint import EndpointWidget
from workbench.widgets.live.run import RunWidget
from workbench.widgets.live.shelf import shelf
from workbench.widgets.live.study import StudyWidget
from workbench.widgets.live.version import VersionWidget

_ONLY = "wb-only-"
_KINDS: Mapping[str, type[LivePanel]] = {
    "data": DatasetWidget,
    "train": RunWidget,
    "compress": StudyWidget,
    "models": VersionWidget,
    "serve": EndpointWidget,
}


class TabsWidget(LivePanel):
    """The row of tabs."""

    _esm = script("app")
    _css = sheet()
    selected = traitlets.Unicode().tag(sync=True)
    opened = traitlets.Unicode().tag(sync=True)


class Room(Closed, ipywidgets.Box):  # type: ignore[misc]
    """Holds the panel of the open tab."""


class AppWidget(Closed, ipywidgets.VBox):  # type: ignore[misc]
    """The tabs and, below, the panel of the one that is open.

    Args:
        screen: What is shown and may be done.
        is_single: Whether the row of tabs is left out.
    """

    def __init__(self, screen: AppScreen, *, is_single: bool) -> None:
        super().__init__()
        self.screen = screen
        self._panels: dict[str, LivePanel] = {}
        self._room = Room([self._panel(screen.opened)])
        self._room.layout.display = "block"
        screen.subscribe(self._changed)  # before the tabs, which say that a panel is there
        self.tabs = TabsWidget(screen)
        self.children = [self._room] if is_single else [self.tabs, self._room]
        self.add_class("wb-app")  # by which a page that lost its kernel finds what to show anew
        if is_single:
            self.add_class(f"{_ONLY}{screen.opened}")

    def _panel(self, tab: str) -> LivePanel:
        if tab not in self._panels:
            self._panels[tab] = _KINDS[tab](self.screen.tab(tab))
        return self._panels[tab]

    def _changed(self, news: Mapping[str, Any]) -> None:
        if "opened" in news:
            self._room.children = [self._panel(news["opened"])]


def show_app(workspace: Workspace, tab: str, *, is_single: bool) -> AppWidget:
    """Returns the page of a workspace, or one tab of it alone."""

    def make() -> Any:
        return AppWidget(AppScreen(workspace, tab), is_single=is_single)

    key = (str(workspace.store.home.root), "app", tab if is_single else "")
    page: Any = shelf().get(key, make)
    shown: AppWidget = page
    return shown
