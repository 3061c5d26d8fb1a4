"""Several workers behind one port: started, watched, started again, and stopped together.

Each worker listens on the port itself (SO_REUSEPORT: the system spreads the connections), so no
request passes through here. Source: socket(7), Linux 3.9.
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from workbench.core.clock import now
from workbench.core.errors import UnsupportedError, WorkbenchError, error_from_dict
from workbench.serving import discovery, launch
from workbench.serving.discovery import EndpointInfo
from workbench.serving.errors import StartError
from workbench.serving.options import Options
from workbench.serving.team import Member, Members, last_asked, write_members
from workbench.serving.tokens import new_token

_LOGGER = logging.getLogger(__name__)
_START_S = 60.0
_STEADY_S = 5.0
_LONGEST_PAUSE_S = 30.0
_LOOK_S = 1.0


class Supervisor:
    """Keeps the workers of one endpoint alive.

    Args:
        options: What was asked for.
        words: The command line it came by; the workers get the same.
    """

    def __init__(self, options: Options, words: Sequence[str]) -> None:
        if not hasattr(socket, "SO_REUSEPORT"):
            raise UnsupportedError(
                "Several workers cannot share a port on this system.",
                hint="Leave --workers out; one process answers from one core.",
            )
        self._options = options
        self._words = list(words)
        self._place = launch.find_place(options)
        self._folder = self._place.folder or Path(tempfile.mkdtemp(prefix="workbench-"))
        self._token = options.token or new_token()
        self._secret = secrets.token_urlsafe(32)
        self._workers = [_Worker(index) for index in range(options.workers)]
        self._restarts = 0
        self._stop = asyncio.Event()

    async def run(self, announce: Callable[[Options, EndpointInfo], None]) -> int:
        """Serves until told to stop; returns the exit code.

        Raises:
            WorkbenchError: A worker could not start; the others are ended then.
        """
        launch.on_signals(self._stop.set)
        with self._reserve() as reserved:
            port = int(reserved.getsockname()[1])
            try:
                models = await self._start_all(port)
            except BaseException:
                await self._end_all()
                raise
            info = launch.record(self._options, self._place, self._token, port, models)
            path = discovery.write(info)
            keeping = [asyncio.create_task(self._keep(w, port)) for w in self._workers]
            try:
                announce(self._options, info)
                await self._wait()
                _LOGGER.info("stopping %s workers", len(self._workers))
                is_complete = await self._end_all()
                await asyncio.gather(*keeping)
            finally:
                path.unlink(missing_ok=True)
        return 0 if is_complete else launch.FAILED

    def _reserve(self) -> socket.socket:
        """Holds the port without listening, so that it stays ours while a worker restarts."""
        family = socket.AF_INET6 if ":" in self._options.host else socket.AF_INET
        reserved = socket.socket(family, socket.SOCK_STREAM)
        try:
            reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            reserved.bind((self._options.host, self._options.port))
        except OSError as error:
            reserved.close()
            raise launch.cannot_listen(self._options, error) from error
        return reserved

    async def _start_all(self, port: int) -> list[str]:
        """The first alone if traffic is asked for: it sets it, and the others take it up."""
        first, *others = self._workers
        if self._options.traffic is None:
            ready = await asyncio.gather(*(self._start(w, port) for w in self._workers))
            models = ready[0]
        else:
            models = await self._start(first, port, sets_traffic=True)
            await asyncio.gather(*(self._start(worker, port) for worker in others))
        self._tell()
        return models

    async def _start(self, worker: _Worker, port: int, *, sets_traffic: bool = False) -> list[str]:
        command = [sys.executable, "-P", "-m", "workbench.serving.process", *self._words]
        command += ["--worker", str(worker.index), "--port", str(port), "--quiet"]
        command += ["--folder", str(self._folder), "--id", self._place.id]
        command += [] if sets_traffic else ["--traffic", ""]
        ready = await worker.start(command, {"token": self._token, "secret": self._secret})
        return list(ready["models"])

    async def _keep(self, worker: _Worker, port: int) -> None:
        """Starts a worker again whenever it ends; one that cannot stay up, after a pause."""
        failures = 0
        while not self._stop.is_set():
            reason = await worker.ended()
            if self._stop.is_set():
                return
            failures = failures + 1 if worker.lived_s() < _STEADY_S else 0
            _LOGGER.warning("worker %s ended: %s; starting it again", worker.index, reason)
            self._restarts += 1
            self._tell()
            if failures > 1:
                await self._pause(min(_LONGEST_PAUSE_S, 0.1 * 2**failures))
            try:
                if not self._stop.is_set():
                    await self._start(worker, port)
            except WorkbenchError as error:
                _LOGGER.warning("worker %s did not start: %s", worker.index, error)
            self._tell()

    async def _wait(self) -> None:
        """Returns when told to stop, or when nobody asked any worker for the idle time."""
        idle_s, began = self._options.settings.idle_s, time.time()
        while not self._stop.is_set():
            await self._pause(_LOOK_S)
            asked = max(began, last_asked(self._folder))
            if idle_s is not None and time.time() - asked > idle_s:
                _LOGGER.info("nobody asked for %.0f s", idle_s)
                self._stop.set()

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), seconds)

    def _tell(self) -> None:
        """Lets the workers know of each other."""
        alive = tuple(worker.member for worker in self._workers if worker.member is not None)
        members = Members(wanted=len(self._workers), restarts=self._restarts, alive=alive)
        try:
            write_members(self._folder, members)
        except OSError as error:
            _LOGGER.warning("the list of workers cannot be written: %s", error)

    async def _end_all(self) -> bool:
        self._stop.set()
        timeout_s = self._options.settings.drain_s + _STEADY_S
        return all(await asyncio.gather(*(worker.end(timeout_s) for worker in self._workers)))


class _Worker:
    """One worker's process, and who it is while it answers."""

    def __init__(self, index: int) -> None:
        self.index = index
        self.member: Member | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._began = 0.0

    async def start(self, command: list[str], told: dict[str, str]) -> dict[str, Any]:
        """Starts the process and waits until it is ready.

        Raises:
            WorkbenchError: Its own reason why it is not.
        """
        self._began = time.monotonic()
        self._process = process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        line = await self._exchange(process, json.dumps(told).encode() + b"\n")
        try:
            said: dict[str, Any] = json.loads(line)
        except ValueError as error:
            raise StartError(
                f"Worker {self.index} ended before it was ready.", hint="See the endpoint's log."
            ) from error
        if "error" in said:
            raise error_from_dict(said["error"])
        self.member = Member(index=self.index, pid=process.pid, port=said["port"], since=now())
        return said

    async def _exchange(self, process: asyncio.subprocess.Process, told: bytes) -> bytes:
        try:
            if process.stdin is None or process.stdout is None:
                return b""
            process.stdin.write(told)
            await process.stdin.drain()
            return await asyncio.wait_for(process.stdout.readline(), _START_S)
        except (TimeoutError, ConnectionError) as error:
            with suppress(ProcessLookupError):
                process.kill()
            raise StartError(
                f"Worker {self.index} was not ready after {_START_S:.0f} s."
            ) from error

    async def ended(self) -> str:
        """Waits for the process's end and returns its reason in words."""
        code = 0 if self._process is None else await self._process.wait()
        self.member = None
        return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"

    def lived_s(self) -> float:
        """Returns for how long the process has been, or was, there."""
        return time.monotonic() - self._began

    async def end(self, timeout_s: float) -> bool:
        """Asks the process to end, and kills it if it does not; whether it ended well."""
        process = self._process
        if process is None:
            return True
        with suppress(ProcessLookupError):
            process.terminate()
        try:
            return await asyncio.wait_for(process.wait(), timeout_s) == 0
        except TimeoutError:
            process.kill()
            await process.wait()
            return False
