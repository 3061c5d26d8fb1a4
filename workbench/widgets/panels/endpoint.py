"""An endpoint: try it, latency, snippets; a card where no widgets run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workbench.core.lazy import lazy
from workbench.core.shown import Panel
from workbench.widgets import frontend

if TYPE_CHECKING:
    from workbench.widgets import served_cards
    from workbench.widgets.live import endpoint as live
else:
    served_cards = lazy("workbench.widgets.served_cards")
    live = lazy("workbench.widgets.live.endpoint")


class EndpointPanel(Panel):
    """See the module's docstring."""

    summary = "try it, latency, traffic, snippets, stop"
    requires = ("anywidget",)

    def card(self, record: Any) -> str:
        """Returns the facts as HTML."""
        return served_cards.endpoint_card(record).html()

    def bundle(self, record: Any) -> dict[str, Any]:
        """Returns the live panel, with the card beside it."""
        return frontend.bundle(
            record, served_cards.endpoint_card, lambda record: live.show_endpoint(record)
        )

    def show(self, record: Any) -> None:
        """Shows the live panel, if there is one, and what remains of it without a kernel."""
        frontend.show(record, served_cards.endpoint_card, lambda record: live.show_endpoint(record))


PLUGIN = EndpointPanel()
