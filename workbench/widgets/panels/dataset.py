"""A dataset: samples, balance, findings; a card with a picture where no widgets run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workbench.core.lazy import lazy
from workbench.core.shown import Panel
from workbench.widgets import frontend

if TYPE_CHECKING:
    from workbench.widgets import dataset_cards
    from workbench.widgets.live import dataset as live
else:
    dataset_cards = lazy("workbench.widgets.dataset_cards")
    live = lazy("workbench.widgets.live.dataset")


class DatasetPanel(Panel):
    """See the module's docstring."""

    summary = "samples, class balance, findings, augmentation before and after"
    requires = ("anywidget",)

    def card(self, record: Any) -> str:
        """Returns samples, balance and findings as HTML."""
        return dataset_cards.dataset_card(record).html()

    def bundle(self, record: Any) -> dict[str, Any]:
        """Returns the live panel, with the card beside it."""
        return frontend.bundle(
            record, dataset_cards.dataset_card, lambda data: live.show_dataset(data)
        )

    def show(self, record: Any) -> None:
        """Shows the live panel, if there is one, and what remains of it without a kernel."""
        frontend.show(record, dataset_cards.dataset_card, lambda data: live.show_dataset(data))


PLUGIN = DatasetPanel()
