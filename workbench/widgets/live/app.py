"""The page with five tabs. A tab's panel is made when the tab is opened first."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import MappingProxyType
from typing import Any

import ipywidgets
import traitlets

from workbench.flow.study import Study
from workbench.flow.workspace import Workspace
from workbench.screens.endpoint import EndpointScreen
from workbench.screens.run import RunScreen
from workbench.screens.study import StudyScreen
from workbench.screens.version import VersionScreen
from workbench.widgets.app import TABS, App
from workbench.widgets.live.base import LivePanel, script, sheet
from workbench.widgets.live.dataset import DatasetWidget
from workbench.widgets.live.door import Closed
from workbench.widgets.live.endpoint import EndpointWidget
from workbench.widgets.live.run import RunWidget
from workbench.widgets.live.shelf import shelf
from workbench.widgets.live.study import StudyWidget
from workbench.widgets.live.version import VersionWidget

_ONLY = "wb-only-"


class TabsWidget(LivePanel):
    """The row of tabs.

    Attributes:
        selected: The tab that was asked for.
        opened: The tab whose panel is there.
    """

    _esm = script("app")
    _css = sheet()
    selected = traitlets.Unicode().tag(sync=True)
    opened = traitlets.Unicode().tag(sync=True)
    inputs = MappingProxyType({"selected": lambda tab: tab in TABS})


class Room(Closed, ipywidgets.Box):  # type: ignore[misc]
    """Holds the panel of the open tab."""


class AppWidget(Closed, ipywidgets.VBox):  # type: ignore[misc]
    """The tabs and, below, the panel of the one that is open.

    Args:
        workspace: The workspace.
        tab: The tab that is open.
        is_single: Whether the row of tabs is left out.
    """

    def __init__(self, workspace: Workspace, tab: str, *, is_single: bool) -> None:
        super().__init__()
        self._workspace = workspace
        self._opening = threading.RLock()
        self._panels: dict[str, Any] = {}
        self._makers: dict[str, Callable[[], Any]] = {
            "data": self._data,
            "train": self._train,
            "compress": self._compress,
            "models": self._models,
            "serve": self._serve,
        }
        self.tabs = TabsWidget(state={"tabs": list(TABS)}, selected=tab, opened=tab)
        self._room = Room([self.panel(tab)])
        self._room.layout.display = "block"
        self.tabs.observe(lambda change: self._open(change["new"]), "selected")
        self.children = [self._room] if is_single else [self.tabs, self._room]
        self.add_class("wb-app")  # by which a page that lost its kernel finds what to show anew
        if is_single:
            self.add_class(f"{_ONLY}{tab}")

    def panel(self, tab: str) -> Any:
        """Returns the panel of a tab."""
        if tab not in self._panels:
            self._panels[tab] = self._makers[tab]()
        return self._panels[tab]

    def _open(self, tab: str) -> None:
        def show() -> None:
            with self._opening:
                if self.tabs.selected != tab:
                    return  # another one was asked for meanwhile
                panel = self.panel(tab)
                refresh = getattr(getattr(panel, "screen", panel), "refresh", None)
                if refresh is not None:
                    refresh()
                self._room.children = [panel]
                self.tabs.opened = tab

        threading.Thread(target=self.tabs.guarded, args=(show,), daemon=True).start()

    def _data(self) -> Any:
        records = self._workspace.store.datasets.list()
        dataset = self._workspace.load(records[0].ref) if records else None
        return DatasetWidget(
            self._workspace, dataset, has_form=True, on_loaded=lambda _: self._offer_data()
        )

    def _offer_data(self) -> None:
        """What was loaded can be trained on, also if that tab was opened meanwhile."""
        training = self._panels.get("train")
        if isinstance(training, RunWidget):
            training.screen.refresh()

    def _train(self) -> Any:
        runs = self._workspace.runs("train")
        newest = runs[0] if runs else None
        return RunWidget(
            RunScreen(self._workspace, newest, has_form=True, on_study=self._to_compress)
        )

    def _compress(self) -> Any:
        studies = self._workspace.store.studies.all()
        study = self._workspace.study(studies[0].ref) if studies else None
        return StudyWidget(
            StudyScreen(self._workspace, study, has_form=True, on_served=self._to_serve)
        )

    def _models(self) -> Any:
        return VersionWidget(VersionScreen(self._workspace, on_served=self._to_serve))

    def _serve(self) -> Any:
        running = self._workspace.endpoints()
        return EndpointWidget(EndpointScreen(self._workspace, running[-1] if running else None))

    def _to_compress(self, run: Any) -> None:
        study: Study = self._workspace.study(run)
        self.panel("compress").screen.attach(study)
        self.tabs.selected = "compress"

    def _to_serve(self, endpoint: Any) -> None:
        self.panel("serve").screen.attach(endpoint)
        self.tabs.selected = "serve"


def show_app(app: App) -> AppWidget:
    """Returns the page of a workspace."""

    def make() -> Any:
        return AppWidget(app.workspace, app.tab, is_single=app.is_single)

    key = (str(app.workspace.store.home.root), "app", app.tab if app.is_single else "")
    page: Any = shelf().get(key, make)
    shown: AppWidget = page
    return shown
