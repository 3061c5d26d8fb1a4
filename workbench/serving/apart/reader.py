"""The side of the endpoint: asks the reading process, starts it when needed, outlives it."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import IO, BinaryIO, NamedTuple, cast

from workbench.core.errors import UnexpectedError, WorkbenchError, error_from_dict
from workbench.serving.apart.work import Parsed, Work, read_head, read_parsed, write_work
from workbench.serving.errors import TooLargeError

READ_S = 30.0
_COMMAND = (sys.executable, "-P", "-m", "workbench.serving.apart")
_END_S = 2.0
_ONE_THREAD = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"), "1")


class Apart:
    """Has bodies read in another process, one after the other; it starts with the first one.

    A body that ends the process, or takes too long, costs its own caller an error and nobody else
    anything: the next one finds a new process.

    Args:
        read_s: The longest that one body may take.
    """

    def __init__(self, read_s: float = READ_S) -> None:
        self._read_s = read_s
        self._thread = ThreadPoolExecutor(1, "apart")
        self._process: subprocess.Popen[bytes] | None = None

    async def read(self, work: Work) -> Parsed:
        """Returns what a body holds.

        Raises:
            WorkbenchError: What the reading process says of it, or that it did not survive it.
        """
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._ask, work)

    async def close(self) -> None:
        """Ends the process."""
        self._thread.shutdown(wait=False, cancel_futures=True)
        await asyncio.to_thread(self._end)

    # in the thread -------------------------------------------------------------------------

    def _ask(self, work: Work) -> Parsed:
        process = self._running()
        limit = threading.Timer(self._read_s, process.kill)
        limit.start()
        try:
            found = _exchange(process, work)
        except (EOFError, OSError) as error:
            self._end()
            raise self._lost() from error
        finally:
            limit.cancel()
        if found.is_last:
            self._end()
        if isinstance(found.said, WorkbenchError):
            raise found.said
        return found.said

    def _running(self) -> subprocess.Popen[bytes]:
        process = self._process
        if process is None or process.poll() is not None:
            process = self._process = self._start()
        return process

    def _start(self) -> subprocess.Popen[bytes]:
        self._end()
        process = subprocess.Popen(
            _COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **_ONE_THREAD},
            start_new_session=True,
        )
        try:
            read_head(_pipe(process.stdout))
        except EOFError as error:
            end(process)
            raise UnexpectedError(
                "The process that reads large bodies cannot start.",
                hint="See the endpoint's log; send binary tensors, or fewer samples a request.",
            ) from error
        return process

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            end(process)

    def _lost(self) -> WorkbenchError:
        return TooLargeError(
            f"Got a body that could not be read in {self._read_s:g} s, or whose reading failed.",
            hint="Send binary tensors, or fewer samples a request.",
        )


class Found(NamedTuple):
    """What the process said, and whether it ends with it."""

    said: Parsed | WorkbenchError
    is_last: bool


def _exchange(process: subprocess.Popen[bytes], work: Work) -> Found:
    """Asks and waits for the answer.

    Raises:
        EOFError: The process ended.
        OSError: Likewise.
    """
    write_work(_pipe(process.stdin), work)
    pipe = _pipe(process.stdout)
    head = read_head(pipe)
    if "error" in head:
        return Found(error_from_dict(head["error"]), head["is_last"])
    return Found(read_parsed(pipe, head), head["is_last"])


def end(process: subprocess.Popen[bytes]) -> None:
    """Ends a process and closes its pipes."""
    process.kill()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with suppress(OSError):  # what was not written goes nowhere
                pipe.close()
    process.wait(_END_S)


def _pipe(pipe: IO[bytes] | None) -> BinaryIO:
    if pipe is None:
        raise EOFError("the process has no pipe")
    return cast(BinaryIO, pipe)
