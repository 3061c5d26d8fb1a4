"""A variant: a card with its figures; it is explored in its study."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workbench.core.lazy import lazy
from workbench.core.shown import Panel
from workbench.widgets import frontend

if TYPE_CHECKING:
    from workbench.widgets import study_cards
else:
    study_cards = lazy("workbench.widgets.study_cards")


class VariantPanel(Panel):
    """See the module's docstring."""

    summary = "the figures of one measured variant"

    def card(self, record: Any) -> str:
        """Returns the figures as HTML."""
        return study_cards.variant_card(record).html()

    def bundle(self, record: Any) -> dict[str, Any]:
        """Returns the card."""
        return frontend.bundle(record, study_cards.variant_card, None)

    def show(self, record: Any) -> None:
        """Shows the live panel, if there is one, and what remains of it without a kernel."""
        frontend.show(record, study_cards.variant_card)


PLUGIN = VariantPanel()
