"""A study: the explorer; a card with the trade-off where no widgets run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workbench.core.lazy import lazy
from workbench.core.shown import Panel
from workbench.widgets import frontend

if TYPE_CHECKING:
    from workbench.widgets import study_cards
    from workbench.widgets.live import study as live
else:
    study_cards = lazy("workbench.widgets.study_cards")
    live = lazy("workbench.widgets.live.study")


class StudyPanel(Panel):
    """See the module's docstring."""

    summary = "the explorer: a slider for each knob, every point measured as deployed"
    requires = ("anywidget",)

    def card(self, record: Any) -> str:
        """Returns the trade-off and the choice as HTML."""
        return study_cards.study_card(record).html()

    def bundle(self, record: Any) -> dict[str, Any]:
        """Returns the explorer, with the card beside it."""
        return frontend.bundle(record, study_cards.study_card, lambda study: live.show_study(study))

    def show(self, record: Any) -> None:
        """Shows the live panel, if there is one, and what remains of it without a kernel."""
        frontend.show(record, study_cards.study_card, lambda study: live.show_study(study))


PLUGIN = StudyPanel()
