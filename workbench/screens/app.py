"""The page with five tabs. A tab's screen is made when the tab is opened first."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from workbench.flow.workspace import Workspace
from workbench.screens.dataset import DatasetScreen
from workbench.screens.endpoint import EndpointScreen
from workbench.screens.run import RunScreen
from workbench.screens.screen import Screen
from workbench.screens.showing import Field
from workbench.screens.study import StudyScreen
from workbench.screens.version import VersionScreen

TABS = ("data", "train", "compress", "models", "serve")


class AppScreen(Screen):
    """The tabs, and the screen of each that was opened.

    Args:
        workspace: The workspace.
        tab: The tab that is open.
        is_readonly: Whether nothing can be changed.

    Attributes:
        selected: The tab that was asked for.
        opened: The tab whose screen is there.
    """

    selected = Field("", check=lambda tab: tab in TABS)
    opened = Field("")

    def __init__(self, workspace: Workspace, tab: str, *, is_readonly: bool = False) -> None:
        super().__init__(is_readonly=is_readonly)
        self._workspace = workspace
        self._opening = threading.RLock()
        self._screens: dict[str, Screen] = {}
        self._makers: Mapping[str, Callable[[], Screen]] = {
            "data": self._data,
            "train": self._train,
            "compress": self._compress,
            "models": self._models,
            "serve": self._serve,
        }
        self.facts = {"tabs": list(TABS)}
        self.selected = self.opened = tab

    def tab(self, name: str) -> Any:
        """Returns the screen of a tab."""
        with self._opening:
            if name not in self._screens:
                self._screens[name] = self._makers[name]()
            return self._screens[name]

    def select(self, name: str) -> None:
        """Opens a tab, as a page does."""
        self.enter({"selected": name})

    def entered(self, names: set[str]) -> None:
        """Opens the tab that was asked for, beside the message."""
        if "selected" in names:
            threading.Thread(
                target=self.guarded, args=(self._open,), daemon=True, name="do_open"
            ).start()

    def close(self) -> None:
        """Closes the screens of all tabs, too."""
        for screen in self._screens.values():
            screen.close()
        super().close()

    def _open(self) -> None:
        with self._opening:
            name = self.selected  # perhaps another one was asked for meanwhile
            self.tab(name).refresh()
            self.opened = name

    def _data(self) -> Screen:
        records = self._workspace.store.datasets.list()
        dataset = self._workspace.load(records[0].ref) if records else None
        return DatasetScreen(
            self._workspace,
            dataset,
            has_form=True,
            on_loaded=self._offer_data,
            is_readonly=self.is_readonly,
        )

    def _offer_data(self, _dataset: Any) -> None:
        """What was loaded can be trained on, also if that tab was opened meanwhile."""
        if "train" in self._screens:
            self._screens["train"].refresh()

    def _train(self) -> Screen:
        runs = self._workspace.runs("train")
        return RunScreen(
            self._workspace,
            runs[0] if runs else None,
            has_form=True,
            on_study=self._to_compress,
            is_readonly=self.is_readonly,
        )

    def _compress(self) -> Screen:
        studies = self._workspace.store.studies.all()
        return StudyScreen(
            self._workspace,
            self._workspace.study(studies[0].ref) if studies else None,
            has_form=True,
            on_served=self._to_serve,
            is_readonly=self.is_readonly,
        )

    def _models(self) -> Screen:
        return VersionScreen(
            self._workspace, on_served=self._to_serve, is_readonly=self.is_readonly
        )

    def _serve(self) -> Screen:
        running = self._workspace.endpoints()
        newest = running[-1] if running else None
        return EndpointScreen(self._workspace, newest, is_readonly=self.is_readonly)

    def _to_compress(self, run: Any) -> None:
        self.tab("compress").attach(self._workspace.study(run))
        self.select("compress")

    def _to_serve(self, endpoint: Any) -> None:
        self.tab("serve").attach(endpoint)
        self.select("serve")
