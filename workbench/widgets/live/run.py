"""A run in the notebook."""

from __future__ import annotations

import base64
from typing import Any

import traitlets

from workbench.flow.run import Run
from workbench.flow.workspace import Workspace
from workbench.screens.run import RunScreen
from workbench.widgets.live.binding import LivePanel, script, sheet
from workbench.widgets.live.shelf import shelf


class RunWidget(LivePanel):
    """See `RunScreen`; the page takes the curves as bytes."""

    _esm = script("run", "run_main")
    _css = sheet()
    curves = traitlets.Dict().tag(sync=True)
    form = traitlets.Dict().tag(sync=True)

    def drawn(self, name: str, value: Any) -> Any:
        """Returns a field's value as the page takes it."""
        if name != "curves":
            return value
        return {ref: {k: base64.b64decode(v) for k, v in one.items()} for ref, one in value.items()}


def show_run(run: Run) -> RunWidget:
    """Returns the panel of a run."""
    workspace = Workspace(run.store.home.root)
    key = (str(run.store.home.root), run.ref)
    panel: Any = shelf().get(key, lambda: RunWidget(RunScreen(workspace, run)))
    panel.screen.attach(run)
    shown: RunWidget = panel
    return shown
