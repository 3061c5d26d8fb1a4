"""Registered versions in the notebook."""

from __future__ import annotations

from typing import Any

import traitlets

from workbench.flow.version import ModelVersion
from workbench.flow.workspace import Workspace
from workbench.screens.version import VersionScreen
from workbench.widgets.live.binding import LivePanel, script, sheet
from workbench.widgets.live.shelf import shelf


class VersionWidget(LivePanel):
    """See `VersionScreen`."""

    _esm = script("version")
    _css = sheet()
    notes = traitlets.Dict().tag(sync=True)
    checks = traitlets.Dict().tag(sync=True)


def show_version(version: ModelVersion) -> VersionWidget:
    """Returns the panel of a model's versions, with this one selected."""
    root = version.store.home.root

    def make() -> VersionWidget:
        return VersionWidget(VersionScreen(Workspace(root), version.name, version.ref))

    panel: Any = shelf().get((str(root), f"model:{version.name}"), make)
    panel.screen.select(version.ref)
    shown: VersionWidget = panel
    return shown
