"""Models loaded and unloaded while the endpoint runs: kept, taken up by other workers, told.

Only what the registry holds, or the endpoint was started with, is ever loaded, and it is verified
as at the start.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from workbench.core.clock import now
from workbench.core.errors import InputError, NotFoundError, StateError, WorkbenchError
from workbench.core.refs import parse_ref
from workbench.serving.asker import Asker
from workbench.serving.control import TrafficControl
from workbench.serving.follow import Registry
from workbench.serving.repository import Repository
from workbench.serving.served import Served, Source
from workbench.serving.state import (
    LOADING,
    READY,
    UNAVAILABLE,
    IndexRow,
    ModelState,
    State,
    StateFile,
)
from workbench.serving.tokens import Token

_LOGGER = logging.getLogger(__name__)


class ModelControl:
    """Loads and unloads by name. All methods run on the event loop.

    A model is named `NAME`, or `NAME@SELECTOR` for one version of it: an alias, which is then
    followed, or a number.

    Args:
        repository: The models.
        state: Where it is kept what was loaded and unloaded.
        registry: Where versions are found, and for the audit log; None has neither.
        traffic: Who gets which share of the requests.
        first: What the endpoint was started with.

    Attributes:
        on_change: Called in a thread with the names served, after this process changed them.
        followed: Returns once the other workers have taken a revision of the state up.
    """

    def __init__(
        self,
        repository: Repository,
        state: StateFile,
        registry: Registry | None,
        traffic: TrafficControl,
        first: Sequence[Source],
    ) -> None:
        self._models = repository
        self._router = repository.router
        self._state = state
        self._registry = registry
        self._traffic = traffic
        self._first = {source.ref: source for source in first}
        self._bases = {
            source.name: parse_ref(source.ref).name
            for source in first
            if source.ref.startswith("model:")
        }
        self._known: dict[str, ModelState] = {}
        self._loading: dict[str, str] = {}
        self._failed: dict[str, str] = {}
        self._lock = asyncio.Lock()
        self.on_change: Callable[[list[str]], None] = lambda names: None
        self.followed: Callable[[int], Awaitable[object]] = _at_once

    async def load(self, model: str, *, by: Asker) -> list[Served]:
        """Serves a model, or a further version of one; returns what is served for it.

        Args:
            model: `NAME` takes what the endpoint was started with under that name, else the
                registry's champion or newest version. What is served already stays as it is.
            by: Who asks, and why, for the audit log.

        Raises:
            NotFoundError: There is no such model or version.
            IntegrityError: Its files are not what was registered.
        """
        name, selector = split_model(model)
        async with self._lock:
            present = self._present(name, selector)
            if present:
                self._models.pin(present)
                await self._keep({s.source.ref: self._wanted(s) for s in present if selector})
                return present
            loaded: list[Served] = []
            try:
                for ref in self._refs(name, selector):
                    loaded.append(await self._load(ref, name))
                await self._keep({s.source.ref: self._wanted(s) for s in loaded})
            except WorkbenchError:
                for served in loaded:
                    self._models.remove(served)
                raise
        for served in loaded:
            await self._note("serve_loaded", served, by)
        await self._tell()
        return loaded

    async def unload(self, model: str, *, by: Asker) -> list[Served]:
        """Takes a model out: it answers what it owes, then its memory is given back.

        Args:
            model: `NAME` takes all its versions out and ends its traffic.
            by: Who asks, and why, for the audit log.

        Raises:
            NotFoundError: It is not served.
            StateError: The version gets a share of the traffic.
        """
        name, selector = split_model(model)
        async with self._lock:
            gone = self._gone(name, selector)
            if selector is None and self._traffic.has_traffic(name):
                await self._traffic.set(name, None, by=by)
                gone = self._gone(name, selector)
            reason = f"unloaded at {now()}"
            await self._keep({s.source.ref: _unwanted(s.source, reason) for s in gone})
            for served in gone:
                self._models.remove(served)
            self._explain()
        for served in gone:
            await self._note("serve_unloaded", served, by)
        await self._tell()
        return gone

    async def begin(self) -> None:
        """Forgets what of the start was unloaded before: whoever starts anew asks for it anew."""
        state = self._state.read()
        if any(not state.models[ref].is_wanted for ref in self._first if ref in state.models):
            await self._keep(dict.fromkeys(self._first))

    async def adopt(self, state: State) -> None:
        """Takes up what was kept or changed elsewhere; what cannot be loaded is left out."""
        async with self._lock:
            if state.revision < self._state.revision:
                return
            self._known = dict(state.models)
            self._failed.clear()
            served = {s.source.ref: s for s in self._router}
            for ref, item in state.models.items():
                found = served.get(ref)
                if found is not None and not item.is_wanted and not self._models.is_added(found):
                    self._models.remove(found)
                elif found is None and item.is_wanted:
                    await self._try(ref, item.name)
            for ref, source in self._first.items():
                if ref not in served and ref not in state.models:
                    await self._try(ref, source.name)
            self._explain()

    @property
    def state_problem(self) -> str:
        """Why what is kept on disk is not believed; "" if it is."""
        return self._state.problem

    def index(self, token: Token | None, *, only_ready: bool = False) -> list[IndexRow]:
        """Returns the state of each version that a caller may know of."""
        rows = [IndexRow(s.name, s.version, READY) for s in self._router.visible(token)]
        if only_ready or token is None:
            return rows
        ready = {(row.name, row.version) for row in rows}
        served = {s.source.ref for s in self._router}
        for ref, item in self._known.items():
            is_shown = token.allows(item.name) and ref not in served and ref not in self._loading
            if is_shown and (item.name, item.number) not in ready:
                reason = self._failed.get(ref) or item.reason
                rows.append(IndexRow(item.name, item.number, UNAVAILABLE, reason))
        for ref, name in self._loading.items():
            if token.allows(name):
                rows.append(IndexRow(name, "", LOADING, ref))
        return rows

    # private -------------------------------------------------------------------------------

    def _present(self, name: str, selector: str | None) -> list[Served]:
        line = self._router.line(name) if name in self._router.names() else []
        if selector is None:
            return line
        return [s for s in line if selector in (s.version, s.source.alias)]

    def _refs(self, name: str, selector: str | None) -> list[str]:
        first = [ref for ref, source in self._first.items() if source.name == name]
        if selector is None and first:
            return first
        for ref in first:
            if selector in (self._first[ref].version, self._first[ref].alias):
                return [ref]
        base = self._bases.get(name, name)
        return [f"model:{base}@{selector}" if selector else f"model:{base}"]

    async def _load(self, ref: str, name: str) -> Served:
        self._loading[ref] = name
        try:
            return await self._models.serve(lambda: self._find(ref, name))
        except NotFoundError:
            raise
        except WorkbenchError as error:
            version = parse_ref(ref).selector if ref.startswith("model:") else None
            failed = ModelState(name=name, number=version or "", reason=error.message)
            await self._keep({ref: failed})
            raise
        finally:
            del self._loading[ref]

    def _find(self, ref: str, name: str) -> Source:
        if self._registry is not None and ref.startswith("model:"):
            return self._registry.find(ref, name)
        if ref in self._first:
            return self._first[ref]
        raise InputError(
            f"'{name}' cannot be loaded: this endpoint serves files and has no registry.",
            hint="Register the model, and serve model:NAME@ALIAS.",
        )

    async def _try(self, ref: str, name: str) -> None:
        self._loading[ref] = name
        try:
            await self._models.serve(lambda: self._find(ref, name))
        except WorkbenchError as error:
            self._failed[ref] = error.message
            _LOGGER.warning("%s is not served: %s", ref, error)
        except Exception as error:
            self._failed[ref] = f"{type(error).__name__}: a defect; its trace is in the log"
            _LOGGER.exception("%s is not served", ref)
        finally:
            del self._loading[ref]

    def _gone(self, name: str, selector: str | None) -> list[Served]:
        line = self._router.line(name)
        if selector is None:
            return line
        found = self._router.find(name, selector)
        if self._traffic.wants(found):
            raise StateError(
                f"'{name}' version {found.version} gets a share of the requests, or is their "
                "shadow.",
                hint="Set the traffic without it first, or unload all versions of the model.",
            )
        return [found]

    def _wanted(self, served: Served) -> ModelState | None:
        """What the endpoint was started with needs no entry."""
        if served.source.ref in self._first:
            return None
        return ModelState(name=served.name, number=served.version, is_wanted=True)

    async def _keep(self, changes: dict[str, ModelState | None]) -> None:
        if changes:
            state = await asyncio.to_thread(self._state.update, lambda s: s.with_models(changes))
            self._known = dict(state.models)
            self._explain()

    def _explain(self) -> None:
        """Lets a request for a model that was taken out be told so."""
        names = set(self._router.names())
        self._router.gone = {
            item.name: self._failed.get(ref) or item.reason
            for ref, item in self._known.items()
            if item.name not in names
        }

    async def _tell(self) -> None:
        await asyncio.to_thread(self.on_change, self._router.names())
        await self.followed(self._state.revision)

    async def _note(self, action: str, served: Served, by: Asker) -> None:
        if self._registry is not None:
            subject = f"model:{served.name}@{served.version}"
            data = by.told({"ref": served.source.ref})
            await asyncio.to_thread(self._registry.note, action, subject, data, by.who)


def split_model(model: str) -> tuple[str, str | None]:
    """Returns name and selector of `NAME` or `NAME@SELECTOR`.

    Raises:
        InputError: A part is empty.
    """
    name, at, selector = model.partition("@")
    if not name or (at and not selector):
        raise InputError(f"Got the model '{model[:100]}'.", hint="NAME or NAME@ALIAS, NAME@3.")
    return name, selector or None


def _unwanted(source: Source, reason: str) -> ModelState:
    return ModelState(name=source.name, number=source.version, reason=reason)


async def _at_once(revision: int) -> None:
    """There are no other workers."""
