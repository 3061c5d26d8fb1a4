"""The request log: one JSON line a request, a file a day, never a payload, never in the way.

Lines are written by a thread of their own. A full disk or a stuck file system loses lines, which
are counted; it never fails or delays a request.
"""

from __future__ import annotations

import threading
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

import orjson

from workbench.core.clock import now
from workbench.core.files import open_private, private_folder

if TYPE_CHECKING:
    from workbench.serving.answer import Answer

_MOST_WAITING = 20_000
_GATHER_S = 0.2
_SAME_TIME_S = 0.001
_LONGEST_PATH = 200
_MOST_SEEN = 1024
_STAGES = (
    b',"rows":%d,"batch_rows":%d,"decode_ms":%.3f,"queue_ms":%.3f,"predict_ms":%.3f,'
    b'"encode_ms":%.3f'
)
_DAY = slice(len('{"time":"'), len('{"time":"2026-11-22'))


class Lines:
    """Formats lines. What repeats from request to request is formatted once."""

    def __init__(self) -> None:
        self._seen: dict[tuple[Any, ...], bytes] = {}
        self._time = b""
        self._time_at = 0.0

    def of(
        self, answer: Answer, dialect: str, seconds: float, around: tuple[float, float]
    ) -> bytes:
        """Returns the line of a finished request: JSON that begins with its time.

        Args:
            answer: What was sent.
            dialect: Key of the protocol.
            seconds: From the complete request to the answer.
            around: Seconds before the tensors were queued, and after the model had run.
        """
        request, served, job = answer.request, answer.served, answer.job
        finished = answer.arrived + seconds
        if finished - self._time_at > _SAME_TIME_S:
            self._time, self._time_at = now().encode(), finished
        key = (
            dialect,
            request.method,
            request.path,
            answer.status,
            served and (served.name, served.version),
            request.caller,
            answer.error_code,
            request.user,
            request.address,
        )
        line = b'{"time":"%s",%s,"bytes":%d,"total_ms":%.3f' % (
            self._time,
            self._seen.get(key) or self._format(key),
            len(request.body),
            seconds * 1e3,
        )
        if job is not None and job.batch_rows:
            line += _STAGES % (
                job.rows,
                job.batch_rows,
                around[0] * 1e3,
                (job.started - job.queued) * 1e3,
                (job.finished - job.started) * 1e3,
                around[1] * 1e3,
            )
        if answer.kept is not None:
            line += b',"kept":"%s"' % answer.kept.encode()
        return line + b"}"

    def _format(self, key: tuple[Any, ...]) -> bytes:
        dialect, method, path, status, model, caller, code, user, address = key
        fields = {
            "dialect": dialect,
            "method": method,
            "path": path.decode("latin-1")[:_LONGEST_PATH],
            "status": status,
            "model": model and model[0],
            "version": model and model[1],
            "caller": caller,
            "error": code,
            "user": user,
            "from": address,
        }
        text = orjson.dumps(fields)[1:-1]
        if len(self._seen) < _MOST_SEEN:
            self._seen[key] = text
        return text


class RequestLog:
    """Writes `<folder>/<date>.jsonl`.

    Args:
        folder: Made when the first line is written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._queue: SimpleQueue[bytes | None] = SimpleQueue()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="request-log", daemon=True)
        self.written = 0
        self.lost = 0

    def start(self) -> None:
        """Starts the writing thread."""
        self._thread.start()

    def add(self, line: bytes) -> None:
        """Queues a line, which begins with its time; drops it if too many wait."""
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

    def _write(self, lines: list[bytes]) -> None:
        by_day: dict[str, list[bytes]] = {}
        for line in lines:
            by_day.setdefault(line[_DAY].decode(), []).append(line)
        for day, texts in by_day.items():
            try:
                path = private_folder(self._folder) / f"{day}.jsonl"
                with open_private(path, "ab") as file:
                    file.write(b"\n".join([*texts, b""]))
                self.written += len(texts)
            except OSError:
                self.lost += len(texts)
