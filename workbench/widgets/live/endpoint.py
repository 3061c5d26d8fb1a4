"""An endpoint in the notebook."""

from __future__ import annotations

from typing import Any

import traitlets

from workbench.flow.endpoint import Endpoint
from workbench.flow.workspace import Workspace
from workbench.screens.endpoint import EndpointScreen
from workbench.widgets.live.binding import LivePanel, script, sheet
from workbench.widgets.live.shelf import shelf


class EndpointWidget(LivePanel):
    """See `EndpointScreen`."""

    _esm = script("endpoint_traffic", "endpoint")
    _css = sheet()
    live = traitlets.Dict().tag(sync=True)
    answer = traitlets.Dict().tag(sync=True)
    replayed = traitlets.Dict().tag(sync=True)
    recent: Any = traitlets.List().tag(sync=True)
    row = traitlets.Dict().tag(sync=True)
    traffic = traitlets.Dict().tag(sync=True)
    tokens: Any = traitlets.List().tag(sync=True)


def show_endpoint(endpoint: Endpoint) -> EndpointWidget:
    """Returns the panel of an endpoint."""

    def make() -> EndpointWidget:
        return EndpointWidget(EndpointScreen(Workspace(endpoint.info.home), endpoint))

    shown: Any = shelf().get((endpoint.info.home, endpoint.ref), make)
    panel: EndpointWidget = shown
    return panel
