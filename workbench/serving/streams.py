"""Answers in pieces: an engine's iterator, advanced in a thread of its own, read on the event loop.

A thread each, so that neither a slow model nor a slow reader holds up the event loop, the model's
own thread (which runs `predict`), or another stream. The iterator never runs more than a few pieces
ahead of its reader, and is closed within one piece once nobody reads. Knows no HTTP.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from workbench.core.errors import OverloadedError, WorkbenchError
from workbench.serving.errors import ModelError
from workbench.serving.isolation import alone

_OVER = object()
WritePiece = Callable[[dict[str, NDArray[Any]]], bytes]


@dataclass(frozen=True)
class StreamLimits:
    """How much is made in pieces at once.

    Attributes:
        open: Most streams of one model; more are refused.
        ahead: Most pieces that are made and not yet taken.
    """

    open: int = 16
    ahead: int = 4


class Stream:
    """The pieces of one answer, in order, to be read once on the event loop.

    Args:
        begin: Returns the iterator; called and advanced in the stream's thread only.
        write: Turns a piece into bytes; in the same thread.
        ahead: Most pieces that are made and not yet taken.
        on_end: Called on the event loop when the thread no longer touches the iterator.

    Raises:
        WorkbenchError: While reading: what the iterator raised, or what the stream was cut by.
    """

    def __init__(
        self,
        begin: Callable[[], Iterable[Any]],
        write: WritePiece,
        ahead: int,
        on_end: Callable[[Stream], None],
    ) -> None:
        self._begin, self._write = begin, write
        self._on_end = on_end
        self._loop = asyncio.get_running_loop()
        self._room = threading.Semaphore(ahead)
        self._ready: deque[bytes] = deque()
        self._news = asyncio.Event()
        self._error: WorkbenchError | None = None
        self._is_dropped = self._is_over = self._is_lent = False

    def start(self, name: str) -> None:
        """Starts the thread."""
        threading.Thread(target=self._run, name=f"stream-{name}", daemon=True).start()

    def __aiter__(self) -> Stream:
        return self

    async def __anext__(self) -> bytes:
        """Returns the next piece; asking for it says that the one before was taken."""
        if self._is_lent:
            self._is_lent = False
            self._room.release()
        while not self._ready:
            if self._error is not None:
                raise self._error
            if self._is_over:
                raise StopAsyncIteration
            self._news.clear()
            await self._news.wait()
        self._is_lent = True
        return self._ready.popleft()

    def drop(self) -> None:
        """Has the iterator closed as soon as it is not in the middle of a piece."""
        self._is_dropped = True
        self._room.release()

    def cut(self, error: WorkbenchError) -> None:
        """Ends the stream: its reader gets `error` next."""
        self._ready.clear()
        self._error = self._error or error
        self._news.set()
        self.drop()

    # the thread ----------------------------------------------------------------------------

    def _run(self) -> None:
        error: WorkbenchError | None = ModelError("The stream broke off.")
        try:
            self._make()
            error = None
        except WorkbenchError as found:
            error = found
        except Exception as found:  # noqa: BLE001 (the border of the stream's thread)
            error = ModelError(f"The model failed: {type(found).__name__}.")
        finally:
            self._tell(self._end, error)

    def _make(self) -> None:
        pieces = self._begin()
        try:
            iterator = iter(pieces)
            while True:
                self._room.acquire()
                piece: Any = _OVER if self._is_dropped else next(iterator, _OVER)
                if piece is _OVER:
                    return
                self._tell(self._add, self._write(piece))
        finally:
            close = getattr(pieces, "close", None)
            if close is not None:
                alone(close)

    def _tell(self, work: Callable[[Any], None], value: Any) -> None:
        with suppress(RuntimeError):  # the loop has ended, and with it whoever read
            self._loop.call_soon_threadsafe(work, value)

    # the event loop ------------------------------------------------------------------------

    def _add(self, piece: bytes) -> None:
        if not self._is_dropped:
            self._ready.append(piece)
            self._news.set()

    def _end(self, error: WorkbenchError | None) -> None:
        self._error = self._error or error
        self._is_over = True
        self._news.set()
        self._on_end(self)


class Streams:
    """The open streams of one model. All methods run on the event loop.

    Args:
        name: Of the model, for its threads.
        limits: Bounds.
    """

    def __init__(self, name: str, limits: StreamLimits | None = None) -> None:
        self._name = name
        self._limits = limits or StreamLimits()
        self._open: set[Stream] = set()
        self._idle = asyncio.Event()
        self._idle.set()

    def __len__(self) -> int:
        return len(self._open)

    def open(self, begin: Callable[[], Iterable[Any]], write: WritePiece) -> Stream:
        """Starts a stream.

        Args:
            begin: Returns the iterator over pieces.
            write: Turns a piece into bytes.

        Raises:
            OverloadedError: As many as may be are open.
        """
        if len(self._open) >= self._limits.open:
            raise OverloadedError(
                f"{len(self._open)} answers in pieces are open, the most of one model.",
                hint="Try again after the time in Retry-After.",
                context={"streams": self._limits.open, "retry_after_s": 1},
            )
        stream = Stream(begin, write, self._limits.ahead, self._ended)
        self._open.add(stream)
        self._idle.clear()
        stream.start(self._name)
        return stream

    async def drain(self) -> None:
        """Returns when no thread touches an iterator any more."""
        await self._idle.wait()

    def _ended(self, stream: Stream) -> None:
        self._open.discard(stream)
        if not self._open:
            self._idle.set()
