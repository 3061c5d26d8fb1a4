"""One worker as its supervisor holds it: started, told to go, watched, ended."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from workbench.core.errors import error_from_dict
from workbench.serving.errors import StartError

_LOGGER = logging.getLogger(__name__)


class WorkerProcess:
    """A process that loads everything, then waits to be told to answer.

    Args:
        process: Just started; see `start`.
        limit_s: The longest that loading may take, and then beginning to answer.
    """

    def __init__(self, process: asyncio.subprocess.Process, limit_s: float) -> None:
        self._process = process
        self._limit_s = limit_s
        self._began = time.monotonic()
        self.pid = process.pid

    @classmethod
    async def start(
        cls, command: Sequence[str], told: Mapping[str, str], limit_s: float
    ) -> WorkerProcess:
        """Starts a process and returns when it has loaded what it will serve.

        Args:
            command: Program and arguments; no secret is among them.
            told: What it reads on standard input first.
            limit_s: The longest that this may take, and then beginning to answer.

        Raises:
            WorkbenchError: Its own reason why it could not.
        """
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            raise StartError(
                f"A worker cannot be started: {error.strerror or error}.",
                hint="Are there enough memory, processes and open files?",
            ) from error
        made = cls(process, limit_s)
        await made._exchange(told, limit_s)
        return made

    async def go(self, index: int, *, sets_traffic: bool, answers_s: float) -> dict[str, Any]:
        """Lets it answer; returns what it says when it does.

        Args:
            index: Its number.
            sets_traffic: Whether it sets the traffic that was asked for.
            answers_s: It must say at least that it heard, in this time; 0 for the longest.

        Raises:
            WorkbenchError: Its own reason why it does not.
        """
        order = {"index": index, "sets_traffic": sets_traffic}
        await self._exchange(order, answers_s or self._limit_s)
        return await self._said(self._limit_s)

    async def watch(self, on_hung: Callable[[int], None]) -> None:
        """Listens to what it says while it serves: which other processes do not answer it."""
        stdout = self._process.stdout
        while stdout is not None and (line := await stdout.readline()):
            try:
                on_hung(int(json.loads(line)["hung"]))
            except (ValueError, KeyError, TypeError):
                _LOGGER.warning("a worker said %r", line[:200])

    def kill(self) -> None:
        """Ends it at once, also if it is stopped."""
        with suppress(ProcessLookupError):
            self._process.kill()

    @property
    def is_alive(self) -> bool:
        """Whether it has not ended."""
        return self._process.returncode is None

    def lived_s(self) -> float:
        """Returns the seconds since it was started."""
        return time.monotonic() - self._began

    async def ended(self) -> str:
        """Waits for its end and returns the reason in words."""
        code = await self._process.wait()
        return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"

    async def end(self, timeout_s: float) -> bool:
        """Asks it to end, and kills it if it does not; returns whether it ended well."""
        with suppress(ProcessLookupError):
            self._process.terminate()
        try:
            return await asyncio.wait_for(self._process.wait(), timeout_s) == 0
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
            return False

    async def _exchange(self, told: Mapping[str, Any], timeout_s: float) -> dict[str, Any]:
        """Writes one line of JSON and reads one."""
        if self._process.stdin is not None:
            self._process.stdin.write(json.dumps(told).encode() + b"\n")
        return await self._said(timeout_s)

    async def _said(self, timeout_s: float) -> dict[str, Any]:
        """Reads one line of JSON; kills a process that says none."""
        stdout = self._process.stdout
        try:
            line = b"" if stdout is None else await asyncio.wait_for(stdout.readline(), timeout_s)
            said: dict[str, Any] = json.loads(line)
        except (TimeoutError, ConnectionError, ValueError) as error:
            self.kill()
            await self._process.wait()
            raise StartError(
                "A worker ended, or said nothing, before it was ready.",
                hint="See the endpoint's log.",
            ) from error
        if "error" in said:
            raise error_from_dict(said["error"])
        return said
