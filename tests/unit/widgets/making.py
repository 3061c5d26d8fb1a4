"""Every panel, made of the small workspace that all tests share."""

from __future__ import annotations

import threading

from tests.unit.screens.every import SCREENS
from workbench.widgets.live.app import AppWidget, TabsWidget
from workbench.widgets.live.dataset import DatasetWidget
from workbench.widgets.live.endpoint import EndpointWidget
from workbench.widgets.live.run import RunWidget
from workbench.widgets.live.study import StudyWidget
from workbench.widgets.live.version import VersionWidget

WIDGETS = {
    "app": TabsWidget,
    "dataset": DatasetWidget,
    "endpoint": EndpointWidget,
    "run": RunWidget,
    "study": StudyWidget,
    "version": VersionWidget,
}


def made(road, kind, **options):
    """Returns a panel of a kind; "page" is the one that holds the others."""
    if kind == "page":
        return AppWidget(SCREENS["app"](road), is_single=False)
    return WIDGETS[kind](SCREENS[kind](road, **options))


def press(panel, command, **arguments):
    """Sends a command as a page does, and waits until it is done."""
    panel._received(panel, {"do": command, "args": arguments}, [])
    return finished(panel)


def finished(panel):
    """Returns a panel when no command is under way any more."""
    for thread in threading.enumerate():
        if thread.name.startswith("do_"):
            thread.join(20)
    return panel
