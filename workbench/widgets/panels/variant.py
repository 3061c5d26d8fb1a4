"""A variant: a card with its figures; it is explored in its study."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workbench.core.lazy import lazy
from workbench.widgets import frontend

if TYPE_CHECKING:
    from workbench.widgets import study_cards
else:
    study_cards = lazy("workbench.widgets.study_cards")


class VariantPanel(frontend.CellPanel):
    """See the module's docstring."""

    summary = "the figures of one measured variant"

    is_live = False

    def twin(self, record: Any) -> frontend.Twin:
        """Returns its card."""
        return study_cards.variant_card(record)


PLUGIN = VariantPanel()
