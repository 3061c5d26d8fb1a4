"""One reading process as the endpoint holds it: started, asked, watched at its work, ended."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, BinaryIO, NamedTuple, cast

from workbench.core.errors import WorkbenchError, error_from_dict
from workbench.serving.apart.work import Parsed, Work, read_head, read_parsed, write_work

COMMAND = (sys.executable, "-P", "-m", "workbench.serving.apart")
_END_S = 2.0
_LOOK_S = 0.25
_ONE_THREAD = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"), "1")
_TICK_S = 1 / os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 0.01


@dataclass(frozen=True)
class Patience:
    """How long a reading process is waited for.

    A process that takes no processor time is stopped or stuck, which is no fault of the body; one
    that works and works is given up for the body's sake.

    Attributes:
        idle_s: Without any progress.
        work_s: Processor time for one body, beside the time that its bytes take.
        bytes_per_s: Of a body.
    """

    idle_s: float = 5.0
    work_s: float = 5.0
    bytes_per_s: float = 4_000_000

    def allowed_s(self, size: int) -> float:
        """Returns the processor time for a body of `size` bytes."""
        return self.work_s + size / self.bytes_per_s


class LostError(Exception):
    """The process ended, or was ended since it made no progress; another one may do better."""


class SlowError(Exception):
    """The process was ended since a body took too much of its time."""


class Found(NamedTuple):
    """What the process said, and whether it ends with it."""

    said: Parsed | WorkbenchError
    is_last: bool


class ReadingProcess:
    """Is asked by one thread at a time.

    Args:
        patience: How long it is waited for.

    Raises:
        OSError: It cannot be started.
    """

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._process = subprocess.Popen(
            COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **_ONE_THREAD},
            start_new_session=True,
        )
        self.pid = self._process.pid
        self.is_ready = False

    @property
    def is_alive(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def ask(self, work: Work) -> Found:
        """Returns what it says of a body; waits for its start first.

        Raises:
            LostError: It ended, or makes no progress.
            SlowError: The body takes too long.
        """
        watch = _Watch(self._process, self._patience, len(work.body))
        try:
            if not self.is_ready:
                read_head(_pipe(self._process.stdout))
                self.is_ready = True
            return self._exchange(work)
        except (EOFError, OSError, ValueError) as error:
            raise (SlowError() if watch.is_slow else LostError()) from error
        finally:
            watch.end()

    def kill(self) -> None:
        """Ends it at once, also if it is stopped; who waits for it is told."""
        self._process.kill()

    def end(self) -> None:
        """Ends it and closes its pipes; by the thread that asks it."""
        process = self._process
        process.kill()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with suppress(OSError):  # what was not written goes nowhere
                    pipe.close()
        with suppress(subprocess.TimeoutExpired):
            process.wait(_END_S)

    def _exchange(self, work: Work) -> Found:
        write_work(_pipe(self._process.stdin), work)
        pipe = _pipe(self._process.stdout)
        head: dict[str, Any] = read_head(pipe)
        if "error" in head:
            return Found(error_from_dict(head["error"]), head["is_last"])
        return Found(read_parsed(pipe, head), head["is_last"])


class _Watch:
    """Ends a process that makes no progress, or works too long; in a thread of its own."""

    def __init__(self, process: subprocess.Popen[bytes], patience: Patience, size: int) -> None:
        self.is_slow = False
        self._process = process
        self._patience = patience
        self._allowed_s = patience.allowed_s(size)
        self._over = threading.Event()
        threading.Thread(target=self._run, name="apart-watch", daemon=True).start()

    def end(self) -> None:
        """Watches no more."""
        self._over.set()

    def _run(self) -> None:
        first = last = _worked_s(self._process.pid)
        moved = time.monotonic()
        while not self._over.wait(min(_LOOK_S, self._patience.idle_s / 4)):
            worked = _worked_s(self._process.pid)
            if worked != last:
                last, moved = worked, time.monotonic()
            self.is_slow = worked - first > self._allowed_s
            if self.is_slow or time.monotonic() - moved > self._patience.idle_s:
                self._process.kill()
                return


def _worked_s(pid: int) -> float:
    """Returns the processor time of a process; where that is not told, the time itself."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return time.monotonic()
    return _TICK_S * (int(fields[11]) + int(fields[12]))  # proc(5): utime, stime


def _pipe(pipe: IO[bytes] | None) -> BinaryIO:
    if pipe is None:
        raise EOFError("the process has no pipe")
    return cast(BinaryIO, pipe)
