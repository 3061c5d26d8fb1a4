"""The models in an endpoint's memory: loaded at the start or later, switched, retired.

All methods are called on the event loop; loading itself happens beside it.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from workbench.core.errors import InputError
from workbench.core.refs import parse_ref
from workbench.serving.batching import BatchLimits
from workbench.serving.crew import Crews
from workbench.serving.decoding_room import DecodingRoom
from workbench.serving.engines import ENGINES
from workbench.serving.follow import Follower, Registry
from workbench.serving.metrics import Metrics
from workbench.serving.router import Router
from workbench.serving.served import Loaded, Served, Source, load


@dataclass(frozen=True)
class LoadOptions:
    """How models are loaded: threads in one prediction, bounds of each queue, what all share."""

    threads: int
    batch: BatchLimits
    room: DecodingRoom
    crews: Crews = field(default_factory=Crews)


class Repository:
    """Loads, switches and retires the versions behind one router.

    Args:
        loaded: Models that have answered already.
        options: How further ones are loaded.
        metrics: Counters by version.
        registry: Where versions and aliases are looked up; None serves what was given only.
    """

    def __init__(
        self,
        loaded: Sequence[Loaded],
        options: LoadOptions,
        metrics: Metrics,
        registry: Registry | None,
    ) -> None:
        self.router = Router()
        self.followers: list[Follower] = []
        self._loaded = loaded
        self._options = options
        self._metrics = metrics
        self._registry = registry
        self._added: set[Served] = set()
        self._closing: set[asyncio.Task[None]] = set()
        for item in loaded:
            self._follow(item.source)

    def start(self) -> None:
        """Serves what was loaded before."""
        for item in self._loaded:
            self._serve(item)
        self._loaded = ()

    async def add(self, name: str, selector: str) -> Served:
        """Loads a further version of a served model beside the others.

        Args:
            name: As served.
            selector: An alias, which is then followed, or a version number.

        Raises:
            InputError: The model does not come from the registry.
            WorkbenchError: There is no such version, it was changed, or it does not answer.
        """
        ref = self.router.line(name)[0].source.ref
        if self._registry is None or not ref.startswith("model:"):
            raise InputError(
                f"'{name}' has no version '{selector}' here, and it was not served from the "
                "registry, where others could be found.",
                hint="Register it, and serve model:NAME@ALIAS.",
            )
        wanted = f"model:{parse_ref(ref).name}@{selector}"
        registry = self._registry
        served = await self.serve(lambda: registry.find(wanted, name))
        self._added.add(served)
        return served

    async def serve(self, find: Callable[[], Source]) -> Served:
        """Loads what `find` gives, off the event loop, and serves it beside the others.

        Raises:
            InputError: It is served already.
            WorkbenchError: It cannot be found, was changed, or does not answer.
        """
        loaded = await asyncio.to_thread(lambda: self.load(find()))
        try:
            served = self._serve(loaded)
        except InputError:
            loaded.model.close()
            raise
        self._follow(loaded.source)
        return served

    def pin(self, line: Iterable[Served]) -> None:
        """Keeps versions that `add` loaded, whatever becomes of the traffic."""
        self._added.difference_update(line)

    def is_added(self, served: Served) -> bool:
        """Returns whether a version was loaded by `add`."""
        return served in self._added

    def remove(self, served: Served) -> None:
        """Takes a version out; it answers what it owes and is then unloaded."""
        self.router.remove(served)
        self.followers[:] = [f for f in self.followers if f.ref != served.source.ref]
        self._retire(served)

    async def switch(self, follower: Follower, loaded: Loaded) -> None:
        """Puts a newly loaded version in the place of the one that an alias pointed at."""
        old = next((s for s in self.router if s.source.ref == follower.ref), None)
        if old is None:  # taken out while the new one was loaded
            loaded.model.close()
            return
        new = self._make(loaded)
        new.start()
        if old in self._added:
            self._added.add(new)
        self.router.switch(old, new)
        self._metrics.count_event("workbench_swaps_total", model=follower.name, outcome="switched")
        self._retire(old)

    async def close(self) -> None:
        """Unloads everything, after it has answered what it owes."""
        await asyncio.gather(*(served.close() for served in self.router), *self._closing)

    def load(self, source: Source) -> Loaded:
        """Loads a source and makes it answer; off the event loop."""
        options = self._options
        return load_source(source, options.threads, options.batch.rows, options.room)

    def _serve(self, loaded: Loaded) -> Served:
        served = self._make(loaded)
        self.router.add(served)
        served.start()
        return served

    def _make(self, loaded: Loaded) -> Served:
        metrics = self._metrics.model(loaded.source.name, loaded.source.version)
        return Served(loaded, metrics, self._options.batch, self._options.crews)

    def _follow(self, source: Source) -> None:
        if self._registry is not None and source.alias is not None:
            self.followers.append(Follower(source))

    def _retire(self, old: Served) -> None:
        self._added.discard(old)
        task = asyncio.get_running_loop().create_task(_close(old))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)


def load_source(
    source: Source, threads: int = 1, most_rows: int = 64, room: DecodingRoom | None = None
) -> Loaded:
    """Loads a source with the engine that its file's suffix asks for.

    Raises:
        InputError: No engine runs such files, or the file is broken.
    """
    for key in ENGINES:
        engine = ENGINES.get(key)
        if source.path.suffix.lower() in engine.suffixes:
            known = {"threads": threads} if "threads" in engine.Config.model_fields else {}
            config = engine.Config.parse(known, what=key)
            return load(source, engine, config, most_rows=most_rows, room=room)
    raise InputError(
        f"Got '{source.path.name}'; no engine runs '{source.path.suffix}' files.",
        hint="An .onnx file would be right.",
    )


async def _close(old: Served) -> None:
    await old.close()
    gc.collect()
