"""A version: its model's table, lineage, promote and roll back; a card where no widgets run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workbench.core.lazy import lazy
from workbench.widgets import frontend

if TYPE_CHECKING:
    from workbench.widgets import served_cards
    from workbench.widgets.live import version as live
else:
    served_cards = lazy("workbench.widgets.served_cards")
    live = lazy("workbench.widgets.live.version")


class VersionPanel(frontend.CellPanel):
    """See the module's docstring."""

    summary = "versions with aliases, promote, roll back, verify, compare"
    requires = ("anywidget",)

    def twin(self, record: Any) -> frontend.Twin:
        """Returns its card."""
        return served_cards.version_card(record)

    def live(self, record: Any) -> Any:
        """Returns the binding of its screen."""
        return live.show_version(record)


PLUGIN = VersionPanel()
