"""The side of the endpoint: asks the reading processes, starts them when needed, outlives them."""

from __future__ import annotations

import threading
from functools import partial

from workbench.core.errors import OverloadedError, WorkbenchError
from workbench.serving.apart.process import LostError, Patience, ReadingProcess, SlowError
from workbench.serving.apart.work import Parsed, Work
from workbench.serving.crew import Crew
from workbench.serving.errors import TooLargeError

_READERS, _WAITING, _LIMIT_S = 2, 32, 90.0
_TRIES = 2


class Apart:
    """Has bodies read in other processes, two at a time; they start when they are needed.

    A body that takes too long costs its own caller an error and nobody else anything. A process
    that ends, or makes no progress, is replaced, and the body tried once more.

    Args:
        patience: How long a process is waited for.
    """

    def __init__(self, patience: Patience | None = None) -> None:
        self._patience = patience or Patience()
        self._crew = Crew("reading large bodies", _READERS, _WAITING, _LIMIT_S)
        self._lock = threading.Lock()
        self._free: list[ReadingProcess] = []
        self._busy: set[ReadingProcess] = set()
        self._is_closed = False

    async def read(self, work: Work) -> Parsed:
        """Returns what a body holds.

        Raises:
            TooLargeError: Reading it takes too long.
            OverloadedError: Too many wait, or the process did not survive, twice.
            WorkbenchError: What the reading process says of it.
        """
        return await self._crew.run(partial(self._ask, work))

    async def close(self) -> None:
        """Ends the processes, whatever they do."""
        with self._lock:
            self._is_closed = True
            free, self._free = self._free, []
            for process in self._busy:
                process.kill()
        for process in free:
            process.end()

    # in a thread ---------------------------------------------------------------------------

    def _ask(self, work: Work) -> Parsed:
        for _ in range(_TRIES):
            try:
                return self._try(work)
            except SlowError as error:
                raise self._too_slow(work) from error
            except (LostError, OSError):
                continue
        raise _lost()

    def _try(self, work: Work) -> Parsed:
        process = self._take()
        is_good = False
        try:
            found = process.ask(work)
            is_good = not found.is_last
        finally:
            self._give_back(process, is_good=is_good)
        if isinstance(found.said, WorkbenchError):
            raise found.said
        return found.said

    def _take(self) -> ReadingProcess:
        with self._lock:
            if self._is_closed:
                raise _lost()
            while self._free:
                process = self._free.pop()
                if process.is_alive:
                    break
                process.end()
            else:
                process = ReadingProcess(self._patience)
            self._busy.add(process)
        return process

    def _give_back(self, process: ReadingProcess, *, is_good: bool) -> None:
        with self._lock:
            self._busy.discard(process)
            is_good = is_good and not self._is_closed
            if is_good:
                self._free.append(process)
        if not is_good:
            process.end()

    def _too_slow(self, work: Work) -> TooLargeError:
        allowed_s = self._patience.allowed_s(len(work.body))
        return TooLargeError(
            f"Got a body of {len(work.body):,} bytes that could not be read in {allowed_s:.0f} s.",
            hint="Send binary tensors, or fewer samples a request.",
        )


def _lost() -> OverloadedError:
    return OverloadedError(
        "The process that reads large bodies ended, or did not answer.",
        hint="Try again after the time in Retry-After; see the endpoint's log if that goes on. "
        "Binary tensors, and fewer samples a request, need no such process.",
        context={"retry_after_s": 1},
    )
