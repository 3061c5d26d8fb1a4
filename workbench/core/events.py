"""Event logs: append-only JSON lines that a step writes and any number of views follow.

They are for showing only, and not sealed: nothing is decided by what they say. What counts of a run
(its config, metrics and outputs) is in the database, under a seal.
"""

from __future__ import annotations

import errno
import json
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from workbench.core.clock import now
from workbench.core.files import open_private


@dataclass(frozen=True)
class Event:
    """One line of an event log."""

    time: str
    kind: str
    data: dict[str, Any]


class EventWriter:
    """Appends events to a file, one flushed line each. Threads may share it.

    A line that a killed writer left half-written is ended first, so that it spoils no other.
    """

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._is_torn = _is_torn(path)
        self._file: IO[bytes] = open_private(path, "ab", buffering=0)

    def write(self, kind: str, **data: Any) -> None:
        """Appends one event.

        Raises:
            OSError: The disk is full. What was written of the line spoils no later one.
        """
        text = json.dumps({"time": now(), "kind": kind, **data}, ensure_ascii=False) + "\n"
        with self._lock:
            line = b"\n" * self._is_torn + text.encode()
            self._is_torn = True  # until all of it is there
            written = self._file.write(line)
            if written != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), self._file.name)
            self._is_torn = False

    def close(self) -> None:
        """Closes the file."""
        self._file.close()


class EventReader:
    """Reads an event log from where it last stopped. Threads may share it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._lock = threading.Lock()

    def new_events(self) -> Iterator[Event]:
        """Yields the events appended since the last call.

        A line still being written waits; one that a killed writer left half-written is left out.
        """
        for line in self._new_lines():
            event = _event(line)
            if event is not None:
                yield event

    def _new_lines(self) -> list[bytes]:
        with self._lock:
            if not self._path.exists():
                return []
            with self._path.open("rb") as file:
                file.seek(self._offset)
                lines = [line for line in file if line.endswith(b"\n")]
            self._offset += sum(map(len, lines))
            return lines


def read_events(path: Path) -> list[Event]:
    """Returns all whole lines of an event log."""
    return list(EventReader(path).new_events())


def _event(line: bytes) -> Event | None:
    try:
        data = json.loads(line)
        return Event(data.pop("time"), data.pop("kind"), data)
    except (ValueError, KeyError, AttributeError):
        return None


def _is_torn(path: Path) -> bool:
    if not path.exists() or not path.stat().st_size:
        return False
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read() != b"\n"
