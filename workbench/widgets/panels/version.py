"""A version: its model's table, lineage, promote and roll back; a card where no widgets run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workbench.core.lazy import lazy
from workbench.core.shown import Panel
from workbench.widgets import frontend

if TYPE_CHECKING:
    from workbench.widgets import served_cards
    from workbench.widgets.live import version as live
else:
    served_cards = lazy("workbench.widgets.served_cards")
    live = lazy("workbench.widgets.live.version")


class VersionPanel(Panel):
    """See the module's docstring."""

    summary = "versions with aliases, promote, roll back, verify, compare"
    requires = ("anywidget",)

    def card(self, record: Any) -> str:
        """Returns the facts as HTML."""
        return served_cards.version_card(record).html()

    def bundle(self, record: Any) -> dict[str, Any]:
        """Returns the live panel, with the card beside it."""
        return frontend.bundle(
            record, served_cards.version_card, lambda record: live.show_version(record)
        )

    def show(self, record: Any) -> None:
        """Shows the live panel, if there is one, and what remains of it without a kernel."""
        frontend.show(record, served_cards.version_card, lambda record: live.show_version(record))


PLUGIN = VersionPanel()
