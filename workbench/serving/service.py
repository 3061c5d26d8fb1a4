"""Puts an endpoint together: models, gate, dialects, server, following, log. Owns their life."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workbench.core.errors import InputError
from workbench.serving.batching import BatchLimits
from workbench.serving.engines import ENGINES
from workbench.serving.follow import Follower, FollowThread, Registry
from workbench.serving.http import Limits
from workbench.serving.metrics import Labels, Metrics
from workbench.serving.protocol import Endpoint
from workbench.serving.protocols import PROTOCOLS
from workbench.serving.request_log import RequestLog
from workbench.serving.router import Router
from workbench.serving.security import Gate
from workbench.serving.served import Loaded, Served, Source, load
from workbench.serving.server import Server


@dataclass(frozen=True)
class Settings:
    """How an endpoint runs.

    Attributes:
        dialects: Keys of the protocol plug-ins.
        threads: Threads inside one prediction.
        batch: Of each model's queue.
        limits: Of each connection.
        poll_s: Time between two looks at a followed alias.
        drain_s: Longest wait for owed answers at the end.
    """

    dialects: tuple[str, ...] = ()
    threads: int = 1
    batch: BatchLimits = field(default_factory=BatchLimits)
    limits: Limits = field(default_factory=Limits)
    poll_s: float = 0.25
    drain_s: float = 20.0


class Service:
    """One endpoint in this process.

    Args:
        loaded: Models that have answered already.
        gate: Who may call.
        settings: How it runs.
        registry: Where followed aliases point; None follows nothing.
        log_folder: Of the request log; None keeps none.
    """

    def __init__(
        self,
        loaded: Sequence[Loaded],
        gate: Gate,
        settings: Settings | None = None,
        *,
        registry: Registry | None = None,
        log_folder: Path | None = None,
    ) -> None:
        self.settings = settings or Settings()
        self.metrics = Metrics()
        self.router = Router()
        self.gate = gate
        self.followers = [Follower(item.source) for item in loaded if _is_followed(item, registry)]
        self._log = None if log_folder is None else RequestLog(log_folder)
        self._loaded = loaded
        self._closing: set[asyncio.Task[None]] = set()
        endpoint = Endpoint(self.router, gate, self.followers, lambda: self.server.is_draining)
        keys = self.settings.dialects or tuple(PROTOCOLS)
        self.server = Server(
            endpoint,
            [PROTOCOLS.get(key) for key in keys],
            self.metrics,
            self._log,
            self.settings.limits,
        )
        self._follow = None
        if registry is not None:
            self._follow = FollowThread(
                self.followers,
                registry,
                lambda source: load_source(source, self.settings.threads),
                self._switch,
                on_refused=lambda f: self.metrics.count_swap(f.name, "refused"),
                interval_s=self.settings.poll_s,
            )
        self._add_gauges()

    async def start(self, host: str, port: int) -> int:
        """Starts answering; returns the port."""
        for item in self._loaded:
            served = self._make(item)
            served.start()
            self.router.add(served)
        self._loaded = ()
        if self._log is not None:
            self._log.start()
        bound = await self.server.start(host, port)
        if self._follow is not None:
            self._follow.start()
        return bound

    async def stop(self) -> bool:
        """Answers what is owed and unloads; returns whether all was answered in time."""
        if self._follow is not None:
            self._follow.stop()
        is_complete = await self.server.drain(self.settings.drain_s)
        if is_complete:
            await asyncio.gather(*(served.close() for served in self.router), *self._closing)
        if self._log is not None:
            self._log.close()
        return is_complete

    def _make(self, loaded: Loaded) -> Served:
        metrics = self.metrics.model(loaded.source.name, loaded.source.version)
        return Served(loaded, metrics, self.settings.batch)

    async def _switch(self, follower: Follower, loaded: Loaded) -> None:
        new = self._make(loaded)
        new.start()
        old = next(s for s in self.router if s.source.ref == follower.ref)
        self.router.switch(old, new)
        self.metrics.count_swap(follower.name, "switched")
        task = asyncio.get_running_loop().create_task(_retire(old))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    def _add_gauges(self) -> None:
        def queues() -> Iterable[tuple[Labels, float]]:
            for served in self.router:
                yield served.metrics.labels, served.batcher.pending

        def lost() -> Iterable[tuple[Labels, float]]:
            yield (), 0 if self._log is None else self._log.lost

        def connections() -> Iterable[tuple[Labels, float]]:
            yield (), len(self.server.connections)

        def limits() -> Iterable[tuple[Labels, float]]:
            batch, limits = self.settings.batch, self.settings.limits
            yield (("what", "body_bytes"),), limits.body_bytes
            yield (("what", "connections"),), limits.connections
            yield (("what", "queue"),), batch.queue
            yield (("what", "batch_rows"),), batch.rows
            yield (("what", "wait_seconds"),), batch.wait_s

        self.metrics.gauge("workbench_limit", "The most that is taken, by what.", limits)
        self.metrics.gauge("workbench_queue", "Requests waiting or running, by model.", queues)
        self.metrics.gauge("workbench_connections", "Open connections.", connections)
        self.metrics.gauge("workbench_log_lines_lost", "Request log lines not written.", lost)


def load_source(source: Source, threads: int = 1) -> Loaded:
    """Loads a source with the engine that its file's suffix asks for.

    Raises:
        InputError: No engine runs such files, or the file is broken.
    """
    for key in ENGINES:
        engine = ENGINES.get(key)
        if source.path.suffix.lower() in engine.suffixes:
            return load(source, engine, engine.Config.parse({"threads": threads}, what=key))
    raise InputError(
        f"Got '{source.path.name}'; no engine runs '{source.path.suffix}' files.",
        hint="An .onnx file would be right.",
    )


async def _retire(old: Served) -> None:
    await old.close()
    gc.collect()


def _is_followed(item: Loaded, registry: Registry | None) -> Any:
    return registry is not None and item.source.alias is not None
