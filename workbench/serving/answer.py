"""The place of one response in its connection: responses leave in the order of their requests."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from workbench.core.errors import WorkbenchError
from workbench.serving.isolation import alone
from workbench.serving.messages import Request, Response, error_response, status_line

if TYPE_CHECKING:
    from workbench.serving.batching import Job
    from workbench.serving.served import Served

_LOGGER = logging.getLogger(__name__)
Headers = tuple[tuple[bytes, bytes], ...]


class Line(Protocol):
    """What an answer needs of its connection."""

    def flush(self) -> None:
        """Writes what may leave now."""


class Answer:
    """Filled once: by `send`, or piece by piece by `start`, `write` and `finish`.

    Attributes:
        request: What is answered.
        arrived: `perf_counter` seconds when the request was complete.
        is_dropped: The caller is gone; whatever is sent goes nowhere.
        job: The work queued for it, so that a lost caller also drops its work.
        served: The model version that answers; None if none does.
        error_code: Code of the error it was answered with.
        kept: Id under which its payload is kept; None if it is not.
        is_counted: Whether it is counted as in flight.
        to_response: Gives an error the form that the caller's dialect expects.
        deadline: `perf_counter` seconds after which the caller does not wait; None for ever.
        timer: Fires at the deadline.
        held_bytes: Of the request's body, for which room is taken.
        on_done: Called once, after the last byte was handed over.
        pieces: How many pieces of it were written; None if it does not come in pieces.
        first_s: Seconds from `arrived` to the first piece.
        cut: Ends it with an error after its start; None while that cannot be.
    """

    chunks: list[bytes]
    status = 0
    is_started = False
    is_chunked = False
    is_done = False
    is_dropped = False
    is_counted = False
    held_bytes = 0
    kept: str | None = None
    error_code: str | None = None
    job: Job | None = None
    task: asyncio.Task[None] | None = None
    served: Served | None = None
    to_response: Callable[[WorkbenchError], Response] = staticmethod(error_response)
    deadline: float | None = None
    timer: asyncio.TimerHandle | None = None
    on_done: Callable[[Answer], None] | None = None
    pieces: int | None = None
    first_s = 0.0
    cut: Callable[[WorkbenchError], None] | None = None
    _waiting: asyncio.Future[None] | None = None

    def __init__(self, line: Line, request: Request, arrived: float, *, close: bool) -> None:
        self._line = line
        self.request = request
        self.arrived = arrived
        self.close = close
        self.chunks = []

    def send(self, response: Response) -> None:
        """Answers with a complete response; ignored if an answer has begun already."""
        if self.is_started:
            return
        self.is_started = True
        self.status = response.status
        self.chunks.append(response.head(close=self.close))
        if response.body and self.request.method != "HEAD":
            self.chunks.append(response.body)
        self._end()

    def fail(self, error: WorkbenchError) -> None:
        """Answers with an error; one that its dialect cannot tell is told plainly.

        A response that has begun is broken off with its connection, or what is cut would be taken
        for whole.
        """
        if self.is_started:
            self._break_off(error)
            return
        self.error_code = error.code
        try:
            response = self.to_response(error)
        except Exception:
            _LOGGER.exception("an error could not be told in its dialect")
            response = error_response(error)
        self.send(response)

    def start(self, status: int, headers: Headers, *, has_length: bool) -> None:
        """Begins a streamed response; without a length its body goes in chunks, or to the end."""
        if self.is_started:
            return
        self.is_started = True
        self.status = status
        self.is_chunked = not has_length and not self.close and self.request.method != "HEAD"
        lines = [name + b": " + value for name, value in headers]
        if self.is_chunked:
            lines.append(b"transfer-encoding: chunked")
        if self.close:
            lines.append(b"connection: close")
        self.chunks.append(status_line(status) + b"\r\n".join([*lines, b"", b""]))

    def write(self, data: bytes) -> None:
        """Sends a piece of a streamed body."""
        if data and self.request.method != "HEAD" and not self.is_done:
            self.chunks.append(b"%x\r\n%s\r\n" % (len(data), data) if self.is_chunked else data)
            self._line.flush()

    async def room(self) -> None:
        """Returns once what was written has left, and its reader takes more."""
        if self.chunks and not self.is_done:
            self._waiting = asyncio.get_running_loop().create_future()
            await self._waiting

    def taken(self) -> None:
        """Says that there is room: what was written has left."""
        waiting, self._waiting = self._waiting, None
        if waiting is not None and not waiting.done():
            waiting.set_result(None)

    def _break_off(self, error: WorkbenchError) -> None:
        if not self.is_done:
            self.close = True
            self.status, self.error_code = error.http_status, error.code
            self._end()

    def finish_failed(self, error: WorkbenchError) -> None:
        """Ends a streamed response whose body tells an error; it counts as failed by it."""
        if not self.is_done:
            self.status, self.error_code = error.http_status, error.code
            self.finish()

    def finish(self) -> None:
        """Ends a streamed response."""
        if not self.is_done:
            if self.is_chunked:
                self.chunks.append(b"0\r\n\r\n")
            self._end()

    def drop(self) -> None:
        """Marks the caller as gone: queued work is skipped, a running handler is cancelled."""
        self.is_dropped = True
        self.give_up()
        if not self.is_done:
            self.status = 499
            self._end()

    def give_up(self) -> None:
        """Leaves undone what is not begun yet."""
        if self.job is not None:
            self.job.is_dropped = True
        if self.task is not None:
            self.task.cancel()

    def _end(self) -> None:
        self.is_done = True
        if self.timer is not None:
            self.timer.cancel()
        on_done, self.on_done = self.on_done, None
        self._line.flush()
        if on_done is not None:
            alone(on_done, self)
