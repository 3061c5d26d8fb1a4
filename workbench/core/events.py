"""Event logs: append-only JSON lines that a step writes and any number of views follow."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from workbench.core.clock import now


@dataclass(frozen=True)
class Event:
    """One line of an event log."""

    time: str
    kind: str
    data: dict[str, Any]


class EventWriter:
    """Appends events to a file, one flushed line each. Threads may share it."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._file: IO[str] = path.open("a", encoding="utf-8")

    def write(self, kind: str, **data: Any) -> None:
        """Appends one event."""
        line = json.dumps({"time": now(), "kind": kind, **data}, ensure_ascii=False)
        with self._lock:
            self._file.write(line + "\n")
            self._file.flush()

    def close(self) -> None:
        """Closes the file."""
        self._file.close()


class EventReader:
    """Reads an event log from where it last stopped."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0

    def new_events(self) -> Iterator[Event]:
        """Yields the events appended since the last call; a line still being written waits."""
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            file.seek(self._offset)
            for line in file:
                if not line.endswith(b"\n"):
                    return
                self._offset += len(line)
                yield _event(line)


def read_events(path: Path) -> list[Event]:
    """Returns all whole lines of an event log."""
    return list(EventReader(path).new_events())


def _event(line: bytes) -> Event:
    data = json.loads(line)
    return Event(data.pop("time"), data.pop("kind"), data)
