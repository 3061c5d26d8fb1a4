"""The live panels of a kernel by what they show: shown twice, it is one panel with two views."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable

from workbench.widgets.live.binding import LivePanel


class Shelf:
    """Keeps one panel for each key."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._panels: dict[tuple[str, ...], LivePanel] = {}

    def get(self, key: tuple[str, ...], make: Callable[[], LivePanel]) -> LivePanel:
        """Returns the panel under `key`, made when there is none or the old one was closed."""
        with self._lock:
            panel = self._panels.get(key)
            if panel is None or panel.comm is None:
                panel = self._panels[key] = make()
            return panel


@functools.cache
def shelf() -> Shelf:
    """Returns this kernel's shelf."""
    return Shelf()
