"""A run: live curves, pause, stop, resume; a card with the curves where no widgets run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workbench.core.lazy import lazy
from workbench.widgets import frontend

if TYPE_CHECKING:
    from workbench.widgets import cards
    from workbench.widgets.live import run as live
else:
    cards = lazy("workbench.widgets.cards")
    live = lazy("workbench.widgets.live.run")


class RunPanel(frontend.CellPanel):
    """See the module's docstring."""

    summary = "live loss and metric curves of a run, with pause, stop and resume"
    requires = ("anywidget",)

    def twin(self, record: Any) -> frontend.Twin:
        """Returns its card."""
        return cards.run_card(record)

    def live(self, record: Any) -> Any:
        """Returns the binding of its screen."""
        return live.show_run(record)


PLUGIN = RunPanel()
