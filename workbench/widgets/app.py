"""`wb.app()`: one page, five tabs, in the order in which one works."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workbench.core.errors import unknown_name
from workbench.core.lazy import lazy
from workbench.flow.verbs import default_workspace
from workbench.flow.workspace import Workspace
from workbench.screens.app import TABS
from workbench.widgets import cards, frontend

if TYPE_CHECKING:
    from workbench.widgets.live import app as live
else:
    live = lazy("workbench.widgets.live.app")


class App:
    """The page of a workspace.

    Args:
        workspace: The workspace.
        tab: The tab that is open; `is_single` shows no other.
        is_single: Whether only that tab is shown.
    """

    def __init__(self, workspace: Workspace, tab: str, *, is_single: bool) -> None:
        self.workspace, self.tab, self.is_single = workspace, tab, is_single

    def __repr__(self) -> str:
        return f"App({str(self.workspace.store.home.root)!r}, tab={self.tab!r})"

    def _ipython_display_(self) -> None:
        frontend.show(self, _card, _live)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        return frontend.bundle(self, _card, _live)


def app(tab: str | None = None) -> App:
    """Returns the page of the workspace: data, train, compress, models, serve.

    Args:
        tab: Only this tab: "data", "train", "compress", "models" or "serve".

    Raises:
        NotFoundError: There is no such tab.
    """
    if tab is not None and tab not in TABS:
        raise unknown_name("tab", tab, TABS)
    return App(default_workspace(), tab or TABS[0], is_single=tab is not None)


def _live(shown: App) -> Any:
    return live.show_app(shown.workspace, shown.tab, is_single=shown.is_single)


def _card(shown: App) -> cards.Card:
    store = shown.workspace.store
    rows = [
        ("datasets", f"{len(store.datasets.list()):,}"),
        ("runs", f"{len(store.runs.list()):,}"),
        ("studies", f"{len(store.studies.all()):,}"),
        ("versions", f"{len(shown.workspace.models()):,}"),
        ("endpoints running", f"{len(shown.workspace.endpoints()):,}"),
    ]
    foot = "The page itself needs a kernel: run the cell."
    return cards.Card("Workbench", "wb.app()", [], rows, foot)
