"""One daemon thread for all panels of a kernel: it looks for news ten times a second at most."""

from __future__ import annotations

import functools
import threading
import time
from typing import Protocol

_PERIOD_S = 0.1


class Followed(Protocol):
    """What the thread looks after."""

    @property
    def period_s(self) -> float:
        """Seconds between two looks."""
        ...

    def tick(self) -> bool:
        """Looks for news and shows them; returns False when there will be none any more."""
        ...


class Ticker:
    """Calls `tick` of what it follows. A tick reads files and rows, nothing that takes long."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._due: dict[int, tuple[Followed, float]] = {}
        self._thread: threading.Thread | None = None
        self._wake = threading.Event()

    def follow(self, panel: Followed) -> None:
        """Looks after `panel` from now on."""
        with self._lock:
            self._due[id(panel)] = (panel, 0.0)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, daemon=True, name="panels")
                self._thread.start()
        self._wake.set()

    def forget(self, panel: Followed) -> None:
        """Leaves `panel` alone."""
        with self._lock:
            self._due.pop(id(panel), None)

    def _run(self) -> None:
        while True:
            for panel in self._ready():
                if not panel.tick():
                    self.forget(panel)
            with self._lock:
                is_idle = not self._due
                self._wake.clear()
            self._wake.wait(None if is_idle else _PERIOD_S)

    def _ready(self) -> list[Followed]:
        moment = time.monotonic()
        with self._lock:
            ready = [panel for panel, due in self._due.values() if due <= moment]
            for panel in ready:
                self._due[id(panel)] = (panel, moment + panel.period_s)
        return ready


@functools.cache
def ticker() -> Ticker:
    """Returns this kernel's ticker."""
    return Ticker()
