"""Puts an endpoint together: models, gate, dialects, server, following, log. Owns their life."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.core.errors import IntegrityError
from workbench.core.lazy import lazy
from workbench.serving.apart import Apart
from workbench.serving.asker import ENDPOINT
from workbench.serving.batching import BatchLimits
from workbench.serving.control import TrafficControl
from workbench.serving.decoding_room import DecodingRoom
from workbench.serving.follow import FollowThread, Registry
from workbench.serving.gateway import Gateway
from workbench.serving.keys import Keys
from workbench.serving.limits import Limits
from workbench.serving.liveness import Patience, Pulse
from workbench.serving.loading import ModelControl
from workbench.serving.log_limits import LogLimits
from workbench.serving.manage import token_routes, traffic_routes
from workbench.serving.metrics import Labels, Metrics
from workbench.serving.payloads import PAYLOADS, Keeping, PayloadLog
from workbench.serving.protocol import Endpoint
from workbench.serving.protocols import PROTOCOLS
from workbench.serving.repository import LoadOptions, Repository
from workbench.serving.request_log import RequestLog
from workbench.serving.security import Gate
from workbench.serving.served import Loaded
from workbench.serving.server import Server
from workbench.serving.state import State, StateFile
from workbench.serving.team import FIGURES, KEYS, PULSE, REVISION, Answers, Team
from workbench.serving.tls import Certificate
from workbench.serving.traffic import Traffic
from workbench.store.seals import Seals

if TYPE_CHECKING:
    from workbench.serving import rpc
else:
    rpc = lazy("workbench.serving.rpc")

_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True)
class Settings:
    """How an endpoint runs.

    Attributes:
        dialects: Keys of the protocol plug-ins.
        threads: Threads inside one prediction.
        batch: Of each model's queue.
        limits: Of each connection.
        room: What decoding may take of this process.
        poll_s: Time between two looks at a followed alias.
        drain_s: Longest wait for owed answers at the end.
        keeping: Whether samples are kept, and how; None keeps none.
        idle_s: Stop after so many seconds without a request; None never.
        gateway: What stands before it.
        traffic: At the start, by model; it replaces what was kept before a restart.
        grpc_port: Also answers gRPC there; 0 lets the system choose, None does not.
        patience: How long one of several workers may be silent.
        log: How much the request log may hold.
    """

    dialects: tuple[str, ...] = ()
    threads: int = 1
    batch: BatchLimits = field(default_factory=BatchLimits)
    limits: Limits = field(default_factory=Limits)
    room: DecodingRoom = field(default_factory=DecodingRoom)
    poll_s: float = 0.25
    drain_s: float = 20.0
    keeping: Keeping | None = None
    idle_s: float | None = None
    gateway: Gateway = field(default_factory=Gateway)
    traffic: Mapping[str, Traffic] = field(default_factory=dict)
    grpc_port: int | None = None
    patience: Patience = field(default_factory=Patience)
    log: LogLimits = field(default_factory=LogLimits)


class Service:
    """One endpoint in this process.

    Args:
        loaded: Models that have answered already.
        gate: Who may call.
        settings: How it runs.
        registry: Where followed aliases point; None follows nothing.
        log_folder: Of the request log; None keeps none.
        folder: Of the endpoint, for what is kept over a restart; None keeps nothing.
        team: The other workers behind the same port; None if there are none.
        certificate: None speaks without TLS.
        seals: Of the workspace, for what is kept in `folder`; None seals nothing.

    Attributes:
        grpc_port: Where gRPC is answered, once started; None if it is not.
        on_idle: Called once when nobody asked for a prediction for `Settings.idle_s`.
    """

    def __init__(
        self,
        loaded: Sequence[Loaded],
        gate: Gate,
        settings: Settings | None = None,
        *,
        registry: Registry | None = None,
        log_folder: Path | None = None,
        folder: Path | None = None,
        team: Team | None = None,
        certificate: Certificate | None = None,
        seals: Seals | None = None,
    ) -> None:
        self.settings = settings = settings or Settings()
        self.metrics = Metrics()
        self.gate = gate
        options = LoadOptions(settings.threads, settings.batch, settings.room)
        self.repository = Repository(loaded, options, self.metrics, registry)
        self.router = self.repository.router
        self._team = team
        self._certificate = certificate
        self._tls = None if certificate is None else certificate.context()
        self._state = StateFile(folder, seals)
        self.control = TrafficControl(self.repository, self._state, registry, self.metrics)
        self.models = ModelControl(
            self.repository, self._state, registry, self.control, [item.source for item in loaded]
        )
        if team is not None:
            self.models.followed = team.followed
        self._adopted = 0
        subject = f"endpoint:{'-' if folder is None else folder.name}"
        self.keys = Keys(gate, self._state, registry, subject)
        if team is not None:
            self.keys.followed = partial(team.followed, what=KEYS)
        self._log = None if log_folder is None else RequestLog(log_folder, settings.log)
        self._payloads = None
        if log_folder is not None and settings.keeping is not None:
            self._payloads = PayloadLog(log_folder / PAYLOADS, settings.keeping)
        self._apart = Apart()
        endpoint = Endpoint(
            self.router,
            gate,
            self.repository.followers,
            lambda: self.server.is_draining,
            team,
            self.models,
            self._apart,
        )
        self.on_idle: Callable[[], None] = lambda: None
        self.server = Server(
            endpoint,
            [PROTOCOLS.get(key) for key in settings.dialects or tuple(PROTOCOLS)],
            self.metrics,
            self._log,
            self._payloads,
            settings.limits,
            [*token_routes(self.keys), *traffic_routes(self.control)],
            settings.gateway,
        )
        self.grpc_port: int | None = None
        self._rpc = None
        if settings.grpc_port is not None:
            self._rpc = rpc.RpcServer(endpoint, self.server, settings.limits, settings.gateway)
        self._follow = self._follow_thread(registry)
        self._add_gauges()

    async def start(
        self, host: str, port: int, *, shares_port: bool = False, sets_traffic: bool = True
    ) -> int:
        """Starts answering; returns the port.

        Args:
            host: Address to listen on.
            port: 0 lets the system choose.
            shares_port: Whether other processes may listen on it, too.
            sets_traffic: Whether the traffic of the settings replaces what was kept.

        Raises:
            WorkbenchError: The traffic asked for cannot be served.
        """
        self.repository.start()
        with suppress(OSError):  # the workspace is read-only, or full already
            await asyncio.to_thread(self._state.prepare)
        if sets_traffic:
            await self.models.begin()
        await self._adopt(self._state.read())
        for name, traffic in self.settings.traffic.items() if sets_traffic else ():
            await self.control.set(name, traffic, by=ENDPOINT)
        if self._log is not None:
            self._log.start()
        if self._payloads is not None:
            self._payloads.start()
        if self._follow is not None:
            await self._follow.catch_up()
        bound = await self.server.start(host, port, shares_port=shares_port, tls=self._tls)
        if self._rpc is not None:
            self.grpc_port = await self._rpc.start(
                host,
                self.settings.grpc_port or 0,
                shares_port=shares_port,
                certificate=self._certificate,
            )
        if self._team is not None:
            self.server.watch_idle(float("inf"), self.on_idle, self._team.note_asked)
        elif self.settings.idle_s is not None:
            self.server.watch_idle(self.settings.idle_s, lambda: self.on_idle())
        if self._follow is not None:
            self._follow.start()
        return bound

    def answers(self) -> Answers:
        """Returns what the other processes of this endpoint may ask of this one."""

        async def figures() -> bytes:
            return self.metrics.render()

        async def revision() -> bytes:
            return b"%d" % max(self._adopted, self._state.revision)

        async def keys() -> bytes:
            return b"%d" % await self.keys.take_up()

        async def pulse() -> bytes:
            busy = ((s.batcher.busy_s, f"{s.name}@{s.version}") for s in self.router)
            seconds, model = max(busy, default=(0.0, ""))
            return Pulse(model, seconds).to_line()

        return {FIGURES: figures, REVISION: revision, KEYS: keys, PULSE: pulse}

    async def stop(self) -> bool:
        """Answers what is owed and unloads; returns whether all was answered in time.

        What is read apart or decoded meanwhile, and nobody waits for, is not waited for either.
        """
        if self._follow is not None:
            self._follow.stop()
        is_complete = await self._drain()
        await self._apart.close()
        if is_complete:
            await self.repository.close()
        if self._log is not None:
            self._log.close()
        if self._payloads is not None:
            self._payloads.close()
        return is_complete

    async def _drain(self) -> bool:
        timeout_s = self.settings.drain_s
        drains = [self.server.drain(timeout_s)]
        if self._rpc is not None:
            drains.append(self._rpc.drain(timeout_s))
        return all(await asyncio.gather(*drains))

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        """Takes up what another worker changed; in the following thread."""
        if not self._state.is_news():
            return
        try:
            state = self._state.read()
        except IntegrityError as error:  # the next file is news again
            _LOGGER.error("%s What was in force stays so. %s", error.message, error.hint)
            return
        try:
            work = self._adopt(state)
            asyncio.run_coroutine_threadsafe(work, loop).result()
        except Exception:
            self._state.forget()
            raise

    async def _adopt(self, state: State) -> None:
        if state.revision >= self._state.revision:
            self.keys.adopt(state)
        await self.models.adopt(state)
        await self.control.adopt(state)
        self._adopted = state.revision

    def _follow_thread(self, registry: Registry | None) -> FollowThread | None:
        if registry is None and self._team is None:
            return None
        return FollowThread(
            self.repository.followers,
            registry,
            self.repository.load,
            self.repository.switch,
            on_refused=lambda follower: self.metrics.count_event(
                "workbench_swaps_total", model=follower.name, outcome="refused"
            ),
            on_look=self._look,
            notes=lambda: self._team is None or not self._team.index,
            interval_s=self.settings.poll_s,
        )

    def _add_gauges(self) -> None:
        def queues() -> Iterable[tuple[Labels, float]]:
            for served in self.router:
                yield served.metrics.labels, served.batcher.pending

        def running() -> Iterable[tuple[Labels, float]]:
            for served in self.router:
                yield served.metrics.labels, served.batcher.busy_s

        def ready() -> Iterable[tuple[Labels, float]]:
            for served in self.router:
                yield served.metrics.labels, not self.server.is_draining

        def lost() -> Iterable[tuple[Labels, float]]:
            yield (("log", "requests"),), 0 if self._log is None else self._log.lost
            yield (("log", "payloads"),), 0 if self._payloads is None else self._payloads.lost

        def connections() -> Iterable[tuple[Labels, float]]:
            yield (), len(self.server.connections)

        def limits() -> Iterable[tuple[Labels, float]]:
            batch, limits = self.settings.batch, self.settings.limits
            yield (("what", "body_bytes"),), limits.body_bytes
            yield (("what", "connections"),), limits.connections
            yield (("what", "queue"),), batch.queue
            yield (("what", "batch_rows"),), batch.rows
            yield (("what", "wait_seconds"),), batch.wait_s

        self._add_team_gauges()
        add = self.metrics.figure
        add("workbench_ready", "Whether a version is loaded, has answered and is asked.", ready)
        add("workbench_run_seconds", "How long the run under way has lasted, by model.", running)
        add("workbench_limit", "The most that is taken, by what.", limits)
        add("workbench_queue", "Requests waiting or running, by model.", queues)
        add("workbench_connections", "Open connections.", connections)
        add("workbench_log_lines_lost", "Lines of a log that were not written.", lost)

    def _add_team_gauges(self) -> None:
        def workers() -> Iterable[tuple[Labels, float]]:
            members = None if self._team is None else self._team.members()
            yield (("state", "wanted"),), 1 if members is None else members.wanted
            yield (("state", "alive"),), 1 if members is None else len(members.alive)

        def restarts() -> Iterable[tuple[Labels, float]]:
            yield (), 0 if self._team is None else self._team.members().restarts

        add = self.metrics.figure

        add("workbench_workers", "Processes behind the port.", workers)
        add("workbench_worker_restarts_total", "Started again.", restarts, kind="counter")
