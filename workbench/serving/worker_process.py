"""One worker as its supervisor holds it: started, told to go, watched, ended."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from workbench.core.errors import error_from_dict
from workbench.serving.errors import StartError

_START_S = 60.0


class WorkerProcess:
    """A process that loads everything, then waits to be told to answer.

    Args:
        process: Just started; see `start`.
    """

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._began = time.monotonic()
        self.pid = process.pid

    @classmethod
    async def start(cls, command: Sequence[str], told: Mapping[str, str]) -> WorkerProcess:
        """Starts a process and returns when it has loaded what it will serve.

        Args:
            command: Program and arguments; no secret is among them.
            told: What it reads on standard input first.

        Raises:
            WorkbenchError: Its own reason why it could not.
        """
        made = cls(
            await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                start_new_session=True,
            )
        )
        await made._exchange(told)
        return made

    async def go(self, index: int, *, sets_traffic: bool) -> dict[str, Any]:
        """Lets it answer; returns what it says when it does.

        Raises:
            WorkbenchError: Its own reason why it does not.
        """
        return await self._exchange({"index": index, "sets_traffic": sets_traffic})

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

    async def _exchange(self, told: Mapping[str, Any]) -> dict[str, Any]:
        """Writes one line of JSON and reads one."""
        process = self._process
        try:
            if process.stdin is None or process.stdout is None:
                raise ConnectionError("no pipes")
            process.stdin.write(json.dumps(told).encode() + b"\n")
            await process.stdin.drain()
            line = await asyncio.wait_for(process.stdout.readline(), _START_S)
            said: dict[str, Any] = json.loads(line)
        except (TimeoutError, ConnectionError, ValueError) as error:
            with suppress(ProcessLookupError):
                process.kill()
            raise StartError(
                "A worker ended, or said nothing, before it was ready.",
                hint="See the endpoint's log.",
            ) from error
        if "error" in said:
            raise error_from_dict(said["error"])
        return said
