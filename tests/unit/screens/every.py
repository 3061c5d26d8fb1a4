"""Every screen, made of the small workspace that all tests share."""

from __future__ import annotations

from workbench.screens.app import AppScreen
from workbench.screens.dataset import DatasetScreen
from workbench.screens.endpoint import EndpointScreen
from workbench.screens.run import RunScreen
from workbench.screens.study import StudyScreen
from workbench.screens.version import VersionScreen

SCREENS = {
    "app": lambda road, **o: AppScreen(road.workspace, "data", **o),
    "dataset": lambda road, **o: DatasetScreen(road.workspace, road.data, has_form=True, **o),
    "endpoint": lambda road, **o: EndpointScreen(road.workspace, **o),
    "run": lambda road, **o: RunScreen(road.workspace, road.run, has_form=True, **o),
    "study": lambda road, **o: StudyScreen(road.workspace, road.study, has_form=True, **o),
    "version": lambda road, **o: VersionScreen(road.workspace, **o),
}
FOR_VISITORS = {
    "app": set(),
    "dataset": {"look_at", "augment", "play"},
    "endpoint": {"select"},
    "run": {"overlay"},
    "study": set(),
    "version": {"select"},
}
