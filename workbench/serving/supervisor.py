"""Several workers behind one port: started, watched, started again, and stopped together.

Each worker listens on the port itself (SO_REUSEPORT: the system spreads the connections), and on
that for gRPC likewise, so no request passes through here. All calls over one gRPC channel reach one
worker, since a channel is a connection. One more worker waits, loaded, to take the place of one
that ends.
Source: socket(7), Linux 3.9.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass

from workbench.core.clock import now
from workbench.core.errors import InputError, StateError, UnsupportedError, WorkbenchError
from workbench.serving import discovery, launch
from workbench.serving.discovery import EndpointInfo
from workbench.serving.isolation import together
from workbench.serving.liveness import Pulse, until_hung
from workbench.serving.options import Options
from workbench.serving.team import PULSE, Member, Members, ask, last_asked, write_members
from workbench.serving.tokens import new_token
from workbench.serving.worker_process import WorkerProcess

_LOGGER = logging.getLogger(__name__)
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
        if self._place.folder is None:
            raise StateError("Several workers need a folder for what they share.")
        self._folder = self._place.folder
        self._token = options.token or new_token()
        self._told = {"token": self._token, "secret": secrets.token_urlsafe(32)}
        self._slots = [_Slot(index) for index in range(options.workers)]
        self._spare: asyncio.Task[WorkerProcess] | None = None
        self._restarts = 0
        self._reason = ""
        self._patience = options.settings.patience
        self._start_s = self._patience.start_s
        self._grpc_port = options.settings.grpc_port
        self._stop = asyncio.Event()

    async def run(self, announce: Callable[[Options, EndpointInfo], None]) -> int:
        """Serves until told to stop; returns the exit code.

        Raises:
            WorkbenchError: A worker could not start; the others are ended then.
        """
        launch.on_signals(self._stop.set)
        try:
            return await self._serve(announce)
        finally:
            launch.leave(self._place)

    async def _serve(self, announce: Callable[[Options, EndpointInfo], None]) -> int:
        with ExitStack() as held:
            port = held.enter_context(self._reserve(self._options.port))
            if self._grpc_port is not None:
                self._grpc_port = held.enter_context(self._reserve(self._grpc_port))
            try:
                models = await self._start_all(port)
            except BaseException:
                await self._end_all()
                raise
            info = launch.record(
                self._options, self._place, self._token, port, models, self._grpc_port
            )
            path = discovery.write(info)
            keeping = [asyncio.create_task(self._keep(slot, port)) for slot in self._slots]
            self._spare = asyncio.create_task(self._prepare(port))
            launch.settle()
            try:
                announce(self._options, info)
                await self._wait()
                _LOGGER.info("stopping %s workers", len(self._slots))
                is_complete = await self._end_all()
                await together(keeping)
            finally:
                path.unlink(missing_ok=True)
        return 0 if is_complete else launch.FAILED

    @contextmanager
    def _reserve(self, port: int) -> Iterator[int]:
        """Holds a port without listening, so that it stays ours while a worker restarts."""
        family = socket.AF_INET6 if ":" in self._options.host else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as reserved:
            try:
                reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
                reserved.bind((self._options.host, port))
            except OSError as error:
                raise launch.cannot_listen(self._options, error, port) from error
            yield int(reserved.getsockname()[1])

    async def _start_all(self, port: int) -> list[str]:
        """The first alone if traffic is asked for: it sets it, and the others take it up."""
        began = time.monotonic()
        prepared = await asyncio.gather(*(self._prepare(port) for _ in self._slots))
        self._start_s = self._patience.again_s(time.monotonic() - began)
        for slot, process in zip(self._slots, prepared, strict=True):
            slot.process = process
        first, *others = self._slots
        models = await self._go(first, sets_traffic=True)
        await asyncio.gather(*(self._go(slot) for slot in others))
        self._tell()
        return models

    async def _prepare(self, port: int) -> WorkerProcess:
        command = [sys.executable, "-P", "-m", "workbench.serving.process", *self._words]
        command += ["--worker", "--port", str(port), "--quiet"]
        command += ["--folder", str(self._folder), "--id", self._place.id]
        if self._grpc_port is not None:
            command += ["--grpc-port", str(self._grpc_port)]
        return await WorkerProcess.start(command, self._told, self._start_s)

    async def _go(self, slot: _Slot, *, sets_traffic: bool = False) -> list[str]:
        if slot.process is None:
            return []
        slot.is_beginning = True
        self._tell()
        try:
            ready = await slot.process.go(
                slot.index, sets_traffic=sets_traffic, answers_s=self._patience.loop_s
            )
        finally:
            slot.is_beginning = False
        pid = slot.process.pid
        slot.member = Member(index=slot.index, pid=pid, port=ready["port"], since=now())
        return list(ready["models"])

    async def _keep(self, slot: _Slot, port: int) -> None:
        """Puts another worker in the place of one that is lost; after a pause if that goes on."""
        failures = 0
        while not self._stop.is_set():
            if slot.process is not None:
                reason = await self._lost(slot, slot.process)
                if self._stop.is_set():
                    return
                failures = 0 if slot.process.lived_s() >= _STEADY_S else failures + 1
                _LOGGER.warning("worker %s %s; another takes its place", slot.index, reason)
                self._lose(slot, reason)
            if failures > 1:
                await self._pause(min(_LONGEST_PAUSE_S, 0.1 * 2 ** min(failures, 9)))
            if not self._stop.is_set():
                failures += await self._fill(slot, port)

    async def _lost(self, slot: _Slot, process: WorkerProcess) -> str:
        """Returns why a worker is lost, once it has ended, by itself or since it was hung."""
        watching = [
            asyncio.create_task(process.watch(self._end_hung)),
            asyncio.create_task(self._end_if_hung(slot, process)),
        ]
        try:
            reason = await process.ended()
        finally:
            for task in watching:
                task.cancel()
        return f"was ended: {slot.reason}" if slot.reason else f"ended: {reason}"

    async def _end_if_hung(self, slot: _Slot, process: WorkerProcess) -> None:
        member = slot.member
        if member is None:
            return

        async def pulse() -> Pulse:
            secret, limit = self._told["secret"], self._patience.every_s
            return Pulse.of_line(await ask(member.port, secret, PULSE, limit))

        slot.reason = await until_hung(pulse, self._patience)
        process.kill()

    def _end_hung(self, pid: int) -> None:
        """Ends a worker that gave another one no answer: it may not go on with an old state."""
        for slot in self._slots:
            if slot.process is not None and slot.process.pid == pid:
                slot.reason = "it did not take a new state up"
                slot.process.kill()

    def _lose(self, slot: _Slot, reason: str) -> None:
        slot.process = slot.member = None
        slot.reason = ""
        self._reason = f"worker {slot.index} {reason}"
        self._restarts += 1
        self._tell()

    async def _fill(self, slot: _Slot, port: int) -> bool:
        """Starts a worker in a free place; returns whether it failed."""
        try:
            slot.process = await self._take_spare(port)
            await self._go(slot)
        except Exception as error:
            slot.process = slot.member = None
            self._reason = f"worker {slot.index} did not start: {error}"
            level = logging.WARNING if isinstance(error, WorkbenchError) else logging.ERROR
            _LOGGER.log(level, "%s", self._reason, exc_info=level == logging.ERROR)
            self._tell()
            return True
        self._tell()
        return False

    async def _take_spare(self, port: int) -> WorkerProcess:
        """Returns the worker that waits, loaded, for such a moment, and starts the next one.

        One that still loads is not waited for: it may never be done.
        """
        process, spare = None, self._spare
        if spare is not None and spare.done():
            self._spare = None
            process = None if spare.exception() else spare.result()
        if process is None or not process.is_alive:
            process = await self._prepare(port)
        if self._spare is None:
            self._spare = asyncio.create_task(self._prepare(port))
        return process

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
        """Lets the workers know of each other, and everybody if there are none."""
        alive = tuple(slot.member for slot in self._slots if slot.member is not None)
        members = Members(
            wanted=len(self._slots),
            restarts=self._restarts,
            alive=alive,
            beginning=tuple(slot.index for slot in self._slots if slot.is_beginning),
        )
        try:
            write_members(self._folder, members)
        except OSError as error:
            _LOGGER.warning("the list of workers cannot be written: %s", error)
        try:
            discovery.tell_failed(self._place.id, "" if alive else self._reason)
        except InputError as error:
            _LOGGER.warning("the state of the endpoint cannot be told: %s", error)

    async def _end_all(self) -> bool:
        self._stop.set()
        timeout_s = self._options.settings.drain_s + _STEADY_S
        processes = [slot.process for slot in self._slots if slot.process is not None]
        ended = await together(process.end(timeout_s) for process in processes)
        if self._spare is not None:
            with suppress(WorkbenchError):
                await (await self._spare).end(timeout_s)
        return all(ended)


@dataclass
class _Slot:
    """A place for one worker."""

    index: int
    process: WorkerProcess | None = None
    member: Member | None = None
    is_beginning: bool = False
    reason: str = ""
