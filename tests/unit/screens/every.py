"""Every screen, made of the small workspace that all tests share."""

from __future__ import annotations

from workbench.screens.version import VersionScreen

SCREENS = {
    "version": lambda road, **o: VersionScreen(road.workspace, **o),
}
FOR_VISITORS = {
    "version": {"select"},
}
