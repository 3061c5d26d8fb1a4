"""An endpoint: try it, latency, snippets; a card where no widgets run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workbench.core.lazy import lazy
from workbench.widgets import frontend

if TYPE_CHECKING:
    from workbench.widgets import served_cards
    from workbench.widgets.live import endpoint as live
else:
    served_cards = lazy("workbench.widgets.served_cards")
    live = lazy("workbench.widgets.live.endpoint")


class EndpointPanel(frontend.CellPanel):
    """See the module's docstring."""

    summary = "try it, latency, traffic, snippets, stop"
    requires = ("anywidget",)

    def twin(self, record: Any) -> frontend.Twin:
        """Returns its card."""
        return served_cards.endpoint_card(record)

    def live(self, record: Any) -> Any:
        """Returns the binding of its screen."""
        return live.show_endpoint(record)


PLUGIN = EndpointPanel()
