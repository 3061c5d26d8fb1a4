"""A few threads for one sort of work: bounded in number, in what waits for them, and in time.

State changes, decoding, encoding and reading apart have a crew each, so that none of them waits
for another. The threads are daemons: whatever they do, the process can end.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from workbench.core.errors import CancelledError, InputError, OverloadedError, WorkbenchError

T = TypeVar("T")
_IDLE_S = 5.0
_CORES = os.cpu_count() or 1


class _Task:
    """Work on its way through a thread.

    Attributes:
        is_begun: Whether a thread took it.
        is_over: Whether nobody waits for it any more.
    """

    def __init__(self, work: Callable[[], Any], loop: asyncio.AbstractEventLoop) -> None:
        self.future: asyncio.Future[Any] = loop.create_future()
        self.is_begun = self.is_over = False
        self._work = work
        self._loop = loop

    def do(self) -> None:
        """Does the work, in a thread, and tells the loop."""
        if self.is_over:
            return
        self.is_begun = True
        _TASK.set(self)
        result: Any = None
        error: Exception | None = None
        try:
            result = self._work()
        except Exception as caught:  # noqa: BLE001 (raised again where it is waited for)
            error = caught
        _TASK.set(None)
        with suppress(RuntimeError):  # the loop is closed: the process ends
            self._loop.call_soon_threadsafe(self._tell, result, error)

    def _tell(self, result: Any, error: Exception | None) -> None:
        if self.future.done():
            return
        if error is None:
            self.future.set_result(result)
        else:
            self.future.set_exception(error)


_TASK: ContextVar[_Task | None] = ContextVar("task", default=None)


def while_wanted(items: Iterable[T]) -> Iterator[T]:
    """Yields items as long as somebody waits for this thread's work.

    Raises:
        CancelledError: Nobody does any more.
    """
    task = _TASK.get()
    for item in items:
        if task is not None and task.is_over:
            raise CancelledError("Nobody waits for this any more.")
        yield item


class Crew:
    """Threads for one sort of work; each is started when it is needed and ends when idle.

    Args:
        name: Of the sort, as told to callers: "decoding".
        threads: How many work at once.
        waiting: How many pieces of work may wait for one.
        limit_s: For waiting and work together; then the caller is told so.
    """

    def __init__(self, name: str, threads: int, waiting: int, limit_s: float) -> None:
        self.name = name
        self.limit_s = limit_s
        self._most_threads = threads
        self._most = threads + waiting
        self._queue: SimpleQueue[_Task] = SimpleQueue()
        self._lock = threading.Lock()
        self._threads = self._pending = 0

    async def run(self, work: Callable[[], T]) -> T:
        """Returns what `work` returns, done in one of the threads.

        Raises:
            OverloadedError: Too much waits already, or no thread was free in time.
            InputError: The work itself takes too long.
        """
        task = _Task(work, asyncio.get_running_loop())
        self._put(task)
        try:
            await asyncio.wait([task.future], timeout=self.limit_s)
            if not task.future.done():
                raise self._late(task)
            return await task.future  # type: ignore[no-any-return]
        finally:
            task.is_over = True
            task.future.cancel()

    def _put(self, task: _Task) -> None:
        with self._lock:
            if self._pending >= self._most:
                raise self._overloaded(f"{self._pending} requests wait for {self.name}")
            self._pending += 1
            self._queue.put(task)
            if self._threads >= min(self._pending, self._most_threads):
                return
            self._threads += 1
        threading.Thread(target=self._serve, name=self.name, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                task = self._queue.get(timeout=_IDLE_S)
            except Empty:
                with self._lock:
                    if self._queue.empty():
                        self._threads -= 1
                        return
                continue
            task.do()
            del task
            with self._lock:
                self._pending -= 1

    def _late(self, task: _Task) -> WorkbenchError:
        if not task.is_begun:
            return self._overloaded(f"No thread was free for {self.name} in {self.limit_s:g} s")
        return InputError(
            f"{self.name.capitalize()} takes more than {self.limit_s:g} s.",
            hint="Send smaller or fewer samples a request.",
        )

    def _overloaded(self, what: str) -> OverloadedError:
        return OverloadedError(
            f"{what}.",
            hint="Try again after the time in Retry-After.",
            context={"retry_after_s": 1},
        )


def _decoding() -> Crew:
    return Crew("decoding", max(2, _CORES), 256, 30.0)


def _encoding() -> Crew:
    return Crew("encoding", max(2, _CORES), 512, 60.0)


@dataclass(frozen=True)
class Crews:
    """The threads beside the event loop that requests use. State changes use none of them.

    Attributes:
        decoding: Files, forms and large arrays to tensors.
        encoding: Large outputs to text.
    """

    decoding: Crew = field(default_factory=_decoding)
    encoding: Crew = field(default_factory=_encoding)
