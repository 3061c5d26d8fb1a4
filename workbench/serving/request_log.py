"""The request log: one JSON line a request, a file a day, never a payload, never in the way.

Lines are written by a thread of their own. A full disk or a stuck file system loses lines, which
are counted; it never fails or delays a request.
"""

from __future__ import annotations

import threading
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import orjson

_MOST_WAITING = 20_000
_GATHER_S = 0.2


class RequestLog:
    """Writes `<folder>/<date>.jsonl`; each line has a "time" in ISO 8601.

    Args:
        folder: Made when the first line is written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._queue: SimpleQueue[dict[str, Any] | None] = SimpleQueue()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="request-log", daemon=True)
        self.written = 0
        self.lost = 0

    def start(self) -> None:
        """Starts the writing thread."""
        self._thread.start()

    def add(self, line: dict[str, Any]) -> None:
        """Queues a line; drops it if too many wait."""
        if self._queue.qsize() >= _MOST_WAITING:
            self.lost += 1
            return
        self._queue.put(line)

    def close(self, timeout_s: float = 2.0) -> None:
        """Writes what is left, but waits no longer than `timeout_s`."""
        self._stop.set()
        self._queue.put(None)
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def _run(self) -> None:
        while True:
            lines = [self._queue.get()]
            self._stop.wait(_GATHER_S)
            while True:
                try:
                    lines.append(self._queue.get_nowait())
                except Empty:
                    break
            self._write([line for line in lines if line is not None])
            if self._stop.is_set() and self._queue.empty():
                return

    def _write(self, lines: list[dict[str, Any]]) -> None:
        by_day: dict[str, list[bytes]] = {}
        for line in lines:
            by_day.setdefault(str(line["time"])[:10], []).append(orjson.dumps(line, default=str))
        for day, texts in by_day.items():
            try:
                self._folder.mkdir(parents=True, exist_ok=True)
                with (self._folder / f"{day}.jsonl").open("ab") as file:
                    file.write(b"\n".join([*texts, b""]))
                self.written += len(texts)
            except OSError:
                self.lost += len(texts)
