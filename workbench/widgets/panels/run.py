"""A run: live curves, pause, stop, resume; a card with the curves where no widgets run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workbench.core.lazy import lazy
from workbench.core.shown import Panel
from workbench.widgets import frontend

if TYPE_CHECKING:
    from workbench.widgets import cards
    from workbench.widgets.live import run as live
else:
    cards = lazy("workbench.widgets.cards")
    live = lazy("workbench.widgets.live.run")


class RunPanel(Panel):
    """See the module's docstring."""

    summary = "live loss and metric curves of a run, with pause, stop and resume"
    requires = ("anywidget",)

    def card(self, record: Any) -> str:
        """Returns curves and figures as HTML."""
        return cards.run_card(record).html()

    def bundle(self, record: Any) -> dict[str, Any]:
        """Returns the live panel, with the card beside it."""
        return frontend.bundle(record, cards.run_card, lambda run: live.show_run(run))

    def show(self, record: Any) -> None:
        """Shows the live panel, if there is one, and what remains of it without a kernel."""
        frontend.show(record, cards.run_card, lambda run: live.show_run(run))


PLUGIN = RunPanel()
