"""Traffic at run time: set, kept, adopted from other workers, and taken back by a broken budget."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from workbench.core.clock import now
from workbench.core.errors import StateError, WorkbenchError
from workbench.serving.asker import ENDPOINT, Asker
from workbench.serving.budget import Breach, Caller, Watch
from workbench.serving.follow import Registry
from workbench.serving.metrics import Labels, Metrics
from workbench.serving.repository import Repository
from workbench.serving.served import Served
from workbench.serving.shadow import Mirror, ShadowCounts
from workbench.serving.splitting import Split
from workbench.serving.state import State, StateFile
from workbench.serving.traffic import Budget, Traffic, TrafficReport, VersionShare

_LOGGER = logging.getLogger(__name__)


class TrafficControl:
    """Shares out the requests of each name. All methods run on the event loop.

    Args:
        repository: The models.
        state: Where traffic is kept.
        registry: For the audit log and for taking an alias back; None has neither.
        metrics: Counters.
    """

    def __init__(
        self,
        repository: Repository,
        state: StateFile,
        registry: Registry | None,
        metrics: Metrics,
    ) -> None:
        self._models = repository
        self._router = repository.router
        self._state = state
        self._registry = registry
        self._metrics = metrics
        self._traffic: dict[str, Traffic] = {}
        self._taken_back: dict[str, dict[str, Any]] = {}
        self._watches: dict[tuple[str, str], Watch] = {}
        self._shadows: dict[tuple[str, str, str], ShadowCounts] = {}
        self._lock = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._router.on_change = self._follow
        self._add_figures()

    async def set(self, model: str, traffic: Traffic | None, *, by: Asker) -> TrafficReport:
        """Sets the traffic of a model, loading the versions it needs; None clears it.

        Args:
            model: As served.
            traffic: What is wanted.
            by: Who asks, and why, for the audit log.

        Raises:
            WorkbenchError: A version cannot be served; nothing is changed then.
        """
        async with self._lock:
            name = self._router.line(model)[0].name
            added = await self._serve_missing(name, traffic)
            try:
                state = await asyncio.to_thread(
                    self._state.update, lambda state: state.with_traffic(name, traffic)
                )
            except WorkbenchError:
                for served in added:
                    self._models.remove(served)
                raise
            self._apply(name, traffic)
            self._taken_back = dict(state.taken_back)
        data = {} if traffic is None else traffic.to_json()
        await self._note("serve_traffic", f"model:{name}", data, by)
        return self.report(name)

    def report(self, model: str) -> TrafficReport:
        """Returns the traffic of a model now.

        Raises:
            NotFoundError: It is not served here.
        """
        line = self._router.line(model)
        split = self._router.splits.get(model)
        return TrafficReport(
            model,
            self._traffic.get(model, Traffic()),
            tuple(self._row(s, split or Split(Traffic(), line)) for s in line),
            self._taken_back.get(model),
        )

    def has_traffic(self, model: str) -> bool:
        """Returns whether the requests of a model are shared out."""
        return model in self._traffic

    def wants(self, served: Served) -> bool:
        """Returns whether a version gets a share of the requests, or copies of them."""
        traffic = self._traffic.get(served.name)
        return traffic is not None and any(_is_named(served, s) for s in traffic.selectors())

    # setting -------------------------------------------------------------------------------

    async def adopt(self, state: State) -> None:
        """Takes up what was kept or changed elsewhere; what cannot be served is left out."""
        async with self._lock:
            if state.revision < self._state.revision:
                return
            self._taken_back = dict(state.taken_back)
            for name in self._router.names():
                traffic = state.traffic.get(name)
                if traffic == self._traffic.get(name):
                    continue
                try:
                    await self._serve_missing(name, traffic)
                except WorkbenchError as error:
                    _LOGGER.warning("%s: a version of its traffic is not served: %s", name, error)
                except Exception:
                    _LOGGER.exception("%s: a version of its traffic is not served", name)
                self._apply(name, traffic)

    async def _serve_missing(self, name: str, traffic: Traffic | None) -> list[Served]:
        added: list[Served] = []
        try:
            for selector in self._missing(name, traffic):
                if selector in self._missing(name, traffic):
                    added.append(await self._models.add(name, selector))
        except WorkbenchError:
            for served in added:
                self._models.remove(served)
            raise
        return added

    def _apply(self, name: str, traffic: Traffic | None) -> None:
        """Puts traffic into force, with fresh windows, and unloads what only the old one needed."""
        for key in [key for key in self._watches if key[0] == name]:
            del self._watches[key]
        if traffic is None:
            self._traffic.pop(name, None)
        else:
            self._traffic[name] = traffic
        self._arrange(name)
        wanted = [] if traffic is None else traffic.selectors()
        for served in self._router.line(name):
            is_wanted = any(_is_named(served, selector) for selector in wanted)
            if self._models.is_added(served) and not is_wanted:
                self._models.remove(served)

    def _follow(self, name: str) -> None:
        """Takes up that other versions are served; one that only an alias stood for is loaded."""
        self._arrange(name)
        if self._missing(name, self._traffic.get(name)):
            self._spawn(self._complete(name))

    async def _complete(self, name: str) -> None:
        async with self._lock:
            if name in self._router.names():
                await self._serve_missing(name, self._traffic.get(name))

    def _missing(self, name: str, traffic: Traffic | None) -> list[str]:
        """Returns the selectors of traffic that no served version goes by."""
        line = self._router.line(name)
        selectors = () if traffic is None else traffic.selectors()
        return [text for text in selectors if not any(_is_named(s, text) for s in line)]

    def _arrange(self, name: str) -> None:
        """Rebuilds split, mirrors and watches of a name from the versions now behind it."""
        traffic, line = self._traffic.get(name), self._router.line(name)
        if traffic is None:
            self._router.splits.pop(name, None)
            for served in line:
                served.mirror = served.watch = None
            return
        self._router.splits[name] = Split(traffic, line)
        shadow = next((s for s in line if traffic.shadow and _is_named(s, traffic.shadow)), None)
        versions = {served.version for served in line}
        for key in [key for key in self._watches if key[0] == name and key[1] not in versions]:
            del self._watches[key]
        for served in line:
            is_shadow = served is shadow
            has_copy = shadow is not None and not is_shadow
            served.mirror = self._mirror(served, shadow, traffic) if has_copy else None
            has_watch = traffic.budget is not None and not is_shadow
            served.watch = self._watcher(served, traffic.budget) if has_watch else None

    def _mirror(self, served: Served, shadow: Served | None, traffic: Traffic) -> Any:
        if shadow is None:
            return None
        key = (served.name, served.version, shadow.version)
        counts = self._shadows.setdefault(key, ShadowCounts())
        return Mirror(shadow, counts, traffic.shadow_share, served.description).offer

    # budgets -------------------------------------------------------------------------------

    def _watcher(
        self, served: Served, budget: Budget | None
    ) -> Callable[[int, float, Caller], None] | None:
        if budget is None:
            return None
        key = (served.name, served.version)
        watch = self._watches.setdefault(key, Watch(budget))

        def observe(status: int, seconds: float, caller: Caller) -> None:
            breach = watch.observe(status, seconds, caller)
            if breach is not None:
                self._on_breach(served, breach)

        return observe

    def _on_breach(self, served: Served, breach: Breach) -> None:
        """Takes a version back at once; keeping and noting it follow beside the requests."""
        name, split = served.name, self._router.splits.get(served.name)
        traffic = self._traffic.get(name)
        if split is None or traffic is None:
            return
        facts = {
            "version": served.version,
            "alias": served.source.alias,
            **vars(breach),
            "time": now(),
        }
        _LOGGER.warning("%s: version %s is over budget: %s", name, served.version, breach.reason)
        if split.heaviest() is not served:
            self._traffic[name] = traffic.without(_selectors(served))
            self._arrange(name)
            self._spawn(self._keep_taken_back(served, facts))
        else:
            self._spawn(self._take_alias_back(served, facts))

    async def _keep_taken_back(self, served: Served, facts: dict[str, Any]) -> None:
        name, selectors = served.name, _selectors(served)
        is_first = True

        def change(state: State) -> State:
            nonlocal is_first
            traffic = state.traffic.get(name, Traffic())
            is_first = bool(selectors & set(traffic.selectors()))
            state = state.with_traffic(name, traffic.without(selectors))
            return state.with_taken_back(name, facts) if is_first else state

        async with self._lock:
            state = await asyncio.to_thread(self._state.update, change)
            self._taken_back = {**state.taken_back, name: state.taken_back.get(name, facts)}
            self._apply(name, state.traffic.get(name))
        if is_first:
            await self._note_taken_back(served, facts)

    async def _take_alias_back(self, served: Served, facts: dict[str, Any]) -> None:
        """The version that most requests go to: back goes its alias, if it was moved here."""
        follower = next((f for f in self._models.followers if f.ref == served.source.ref), None)
        registry = self._registry
        if registry is None or follower is None or follower.switched is None:
            await self._note("serve_over_budget", _subject(served), facts, ENDPOINT)
            return
        try:
            is_ours = await asyncio.to_thread(
                registry.roll_back, follower.model, follower.alias, served.version, facts["reason"]
            )
        except StateError:  # every earlier version was revoked
            await self._note("serve_over_budget", _subject(served), facts, ENDPOINT)
            return
        if is_ours:
            await asyncio.to_thread(
                self._state.update, lambda state: state.with_taken_back(served.name, facts)
            )
            self._taken_back[served.name] = facts
            await self._note_taken_back(served, facts)

    async def _note_taken_back(self, served: Served, facts: dict[str, Any]) -> None:
        self._metrics.count_event(
            "workbench_taken_back_total", model=served.name, version=served.version
        )
        await self._note("serve_taken_back", _subject(served), facts, ENDPOINT)

    async def _note(self, action: str, subject: str, data: dict[str, Any], by: Asker) -> None:
        if self._registry is not None:
            await asyncio.to_thread(self._registry.note, action, subject, by.told(data), by.who)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(_logged(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # seen ----------------------------------------------------------------------------------

    def _row(self, served: Served, split: Split) -> VersionShare:
        counts = served.metrics.requests
        shadows = [
            c for key, c in self._shadows.items() if key[::2] == (served.name, served.version)
        ]
        outcomes: dict[str, int] = {}
        for found in shadows:
            for outcome, count in found.outcomes.items():
                outcomes[outcome] = outcomes.get(outcome, 0) + count
        differences = [c.max_difference for c in shadows if c.max_difference is not None]
        return VersionShare(
            version=served.version,
            alias=served.source.alias,
            share=split.share(served),
            requests=sum(counts.values()),
            errors=sum(count for (_, status), count in counts.items() if status >= 500),
            shadow=outcomes,
            max_difference=max(differences, default=None),
        )

    def _add_figures(self) -> None:
        def shares() -> Iterable[tuple[Labels, float]]:
            for name, split in self._router.splits.items():
                for served in self._router.line(name):
                    yield served.metrics.labels, split.share(served)

        def shadows() -> Iterable[tuple[Labels, float]]:
            for (model, version, shadow), counts in self._shadows.items():
                labels = (("model", model), ("version", version), ("shadow", shadow))
                for outcome, count in counts.outcomes.items():
                    yield (*labels, ("outcome", outcome)), count

        def differences() -> Iterable[tuple[Labels, float]]:
            for (model, version, shadow), counts in self._shadows.items():
                if counts.max_difference is not None:
                    labels = (("model", model), ("version", version), ("shadow", shadow))
                    yield labels, counts.max_difference

        add = self._metrics.figure
        add("workbench_traffic_share", "Share of requests that name no version.", shares)
        add(
            "workbench_shadow_total",
            "Copies of requests, by what came of them.",
            shadows,
            kind="counter",
        )
        add(
            "workbench_shadow_max_difference",
            "Largest absolute difference between a shadow's first output and the one answered.",
            differences,
        )


async def _logged(work: Coroutine[Any, Any, None]) -> None:
    try:
        await work
    except WorkbenchError as error:
        _LOGGER.warning("a change of traffic could not be completed or noted: %s", error)
    except Exception:
        _LOGGER.exception("a change of traffic could not be completed or noted")


def _is_named(served: Served, selector: str) -> bool:
    return selector in (served.version, served.source.alias)


def _selectors(served: Served) -> set[str]:
    return {name for name in (served.version, served.source.alias) if name is not None}


def _subject(served: Served) -> str:
    return f"model:{served.name}@{served.source.alias or served.version}"
