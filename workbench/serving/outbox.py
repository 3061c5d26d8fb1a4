"""Writes of one turn of the event loop, together at its end."""

from __future__ import annotations

import asyncio
from operator import methodcaller
from typing import Protocol

from workbench.serving.isolation import each


class Writer(Protocol):
    """What has something to write."""

    def write_out(self) -> None:
        """Writes every answer whose turn it is."""

    def abort(self) -> None:
        """Ends it now."""


_WRITE_OUT, _ABORT = methodcaller("write_out"), methodcaller("abort")


class Outbox:
    """Writes what became ready in a turn of the loop at its end, one answer right after the other.

    Each write may wake its caller's processor; written together they find it awake.
    """

    def __init__(self) -> None:
        self._ready: list[Writer] = []

    def add(self, connection: Writer) -> None:
        """Has a connection write at the end of this turn."""
        if not self._ready:
            asyncio.get_running_loop().call_soon(self._send)
        self._ready.append(connection)

    def _send(self) -> None:
        ready, self._ready = self._ready, []
        each(ready, _WRITE_OUT, _ABORT)
