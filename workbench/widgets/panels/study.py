"""A study: the explorer; a card with the trade-off where no widgets run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workbench.core.lazy import lazy
from workbench.widgets import frontend

if TYPE_CHECKING:
    from workbench.widgets import study_cards
    from workbench.widgets.live import study as live
else:
    study_cards = lazy("workbench.widgets.study_cards")
    live = lazy("workbench.widgets.live.study")


class StudyPanel(frontend.CellPanel):
    """See the module's docstring."""

    summary = "the explorer: a slider for each knob, every point measured as deployed"
    requires = ("anywidget",)

    def twin(self, record: Any) -> frontend.Twin:
        """Returns its card."""
        return study_cards.study_card(record)

    def live(self, record: Any) -> Any:
        """Returns the binding of its screen."""
        return live.show_study(record)


PLUGIN = StudyPanel()
