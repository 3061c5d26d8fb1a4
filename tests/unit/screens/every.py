"""Every screen, made of the small workspace that all tests share."""

from __future__ import annotations

from workbench.screens.run import RunScreen
from workbench.screens.version import VersionScreen

SCREENS = {
    "run": lambda road, **o: RunScreen(road.workspace, road.run, has_form=True, **o),
    "version": lambda road, **o: VersionScreen(road.workspace, **o),
}
FOR_VISITORS = {
    "run": {"overlay"},
    "version": {"select"},
}
