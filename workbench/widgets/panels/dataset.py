"""A dataset: samples, balance, findings; a card with a picture where no widgets run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workbench.core.lazy import lazy
from workbench.widgets import frontend

if TYPE_CHECKING:
    from workbench.widgets import dataset_cards
    from workbench.widgets.live import dataset as live
else:
    dataset_cards = lazy("workbench.widgets.dataset_cards")
    live = lazy("workbench.widgets.live.dataset")


class DatasetPanel(frontend.CellPanel):
    """See the module's docstring."""

    summary = "samples, class balance, findings, augmentation before and after"
    requires = ("anywidget",)

    def twin(self, record: Any) -> frontend.Twin:
        """Returns its card."""
        return dataset_cards.dataset_card(record)

    def live(self, record: Any) -> Any:
        """Returns the binding of its screen."""
        return live.show_dataset(record)


PLUGIN = DatasetPanel()
