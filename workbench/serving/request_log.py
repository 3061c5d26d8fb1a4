"""The request log: one JSON line a request, a file a day, never a payload, never in the way.

Lines are written by a thread of their own. A full disk or a stuck file system loses lines, which
are counted; it never fails or delays a request. Files are bounded in size, number and age.
"""

from __future__ import annotations

import logging
import threading
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from time import monotonic
from typing import TYPE_CHECKING, Any

import orjson

from workbench.core.clock import now
from workbench.core.jsonl import append, part
from workbench.serving.isolation import alone
from workbench.serving.log_folder import LogFolder
from workbench.serving.log_limits import LogLimits

if TYPE_CHECKING:
    from workbench.serving.answer import Answer

_LOGGER = logging.getLogger(__name__)
REFUSED = frozenset({401, 403, 408, 413, 429, 503})
_TELL_S = 10.0
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
        if answer.pieces is not None:
            line += b',"pieces":%d,"first_ms":%.3f' % (answer.pieces, answer.first_s * 1e3)
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
    """Writes `<folder>/<date>.jsonl`, and `<date>.1.jsonl`, … when that is full.

    Requests that are refused before a model is asked are counted, not written one by one: callers
    without a token could fill the disk. What was left out stands in a line of its own, once in a
    while.

    Args:
        folder: Made when the first line is written, inside a folder that must be there and stay.
        limits: How much it may hold.
        tell_s: Least time between two lines that tell what was left out.
    """

    def __init__(
        self, folder: Path, limits: LogLimits | None = None, tell_s: float = _TELL_S
    ) -> None:
        self._folder = LogFolder(folder)
        self._limits = limits or LogLimits()
        self._tell_s = tell_s
        self._queue: SimpleQueue[bytes | None] = SimpleQueue()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="request-log", daemon=True)
        self._left_out: dict[tuple[int, str | None, str | None], int] = {}
        self._since = now()
        self._told_at = monotonic()
        self._told_lost = 0
        self._pruned = ""
        self._is_failing = False
        self.written = 0
        self.lost = 0

    def start(self) -> None:
        """Starts the writing thread."""
        self._folder.hold()
        self._thread.start()

    def add(self, line: bytes) -> None:
        """Queues a line, which begins with its time; drops it if too many wait."""
        if self._queue.qsize() >= _MOST_WAITING:
            self.lost += 1
            return
        self._queue.put(line)

    def leave_out(self, answer: Answer) -> None:
        """Counts a request that was refused, instead of writing its line."""
        key = (answer.status, answer.error_code, answer.request.caller)
        if not self._left_out:
            self._queue.put(None)  # wakes the thread, which tells of it in a while
        self._left_out[key] = self._left_out.get(key, 0) + 1

    def close(self, timeout_s: float = 2.0) -> None:
        """Writes what is left, but waits no longer than `timeout_s`."""
        self._stop.set()
        self._queue.put(None)
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def _run(self) -> None:
        while not (self._stop.is_set() and self._queue.empty()):
            alone(self._turn)

    def _turn(self) -> None:
        lines = self._gather()
        self._write([*lines, *self._due()])

    def _gather(self) -> list[bytes]:
        """Waits for lines, or until what was left out is to be told."""
        lines: list[bytes | None] = []
        with suppress(Empty):
            lines.append(self._queue.get(timeout=self._tell_s if self._left_out else None))
        self._stop.wait(_GATHER_S)
        with suppress(Empty):
            while True:
                lines.append(self._queue.get_nowait())
        return [line for line in lines if line is not None]

    def _due(self) -> list[bytes]:
        """Returns the line that tells what was left out, if it is time for one."""
        is_news = bool(self._left_out) or self.lost > self._told_lost
        if not is_news or (monotonic() - self._told_at < self._tell_s and not self._stop.is_set()):
            return []
        left_out, self._left_out = self._left_out, {}
        at = now()
        told = {
            "time": at,
            "since": self._since,
            "left_out": [
                {"status": status, "error": error, "caller": caller, "count": count}
                for (status, error, caller), count in list(left_out.items())
            ],
            "lost": self.lost - self._told_lost,
        }
        self._since, self._told_at, self._told_lost = at, monotonic(), self.lost
        return [orjson.dumps(told)]

    def _write(self, lines: list[bytes]) -> None:
        by_day: dict[str, list[bytes]] = {}
        for line in lines:
            by_day.setdefault(line[_DAY].decode(), []).append(line)
        for day, texts in by_day.items():
            try:
                append(self._part(self._folder.make(), day), texts)
                self.written += len(texts)
                self._is_failing = False
            except OSError as error:
                self.lost += len(texts)
                if not self._is_failing:
                    _LOGGER.warning("the request log cannot be written: %s", error)
                self._is_failing = True

    def _part(self, folder: Path, day: str) -> Path:
        """Returns where to write; a new file is the time to see what must go."""
        path = part(folder, day, self._limits.part_bytes)
        if path.name != self._pruned:
            self._pruned = path.name
            gone = self._limits.prune(folder, day)
            if gone:
                _LOGGER.info("of the request log, %s were removed: too old, or too much", gone)
                append(path, [orjson.dumps({"time": now(), "removed": gone})])
        return path
