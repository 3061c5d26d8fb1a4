"""A search as a run: proposals from the estimates, trials by the measuring worker, a deadline.

Every variant is stored the moment it is measured, so that nothing is lost however the search ends.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from workbench.compression.confirmation import Confirmed
from workbench.compression.goal import Goal, drop_of
from workbench.compression.growing import Refused
from workbench.compression.measured import Measured
from workbench.compression.methods import METHODS
from workbench.compression.recipe import Recipe, Step, parse
from workbench.compression.restructuring import split_structure
from workbench.compression.search import Search, known_first
from workbench.compression.trial_costs import TrialCosts, epoch_seconds
from workbench.core.errors import (
    CancelledError,
    InputError,
    RunFailedError,
    StorageError,
    UnsupportedError,
)
from workbench.core.storage import storage_error
from workbench.exporting.parity import ParityError
from workbench.flow.preparing import Preparing
from workbench.flow.search_report import SearchReport, words_of
from workbench.flow.timed_context import OutOfTimeError, TimedContext
from workbench.store import RunContext, Store
from workbench.tasks import is_share

KIND = "search"
_PREPARE = 0.45
_RESERVE, _LEAST_RESERVE_S, _MOST_RESERVE_S = 0.06, 0.3, 20.0
_FIRST_TRIAL_S, _FIRST_NETWORK_S, _FIRST_EPOCH_S = 0.6, 3.0, 0.1
_CAREFUL, _BUSIEST, _CROWDED = 1.3, 3.0, 1.5
_LOOKS_PER_S, _MOST_LOOKS = 0.25, 24
# Tried while the estimates are being prepared, without which nobody knows better.
_PLAIN = {
    "size_bytes": (
        "cluster:16",
        "prune_structured:0.5,epochs=16 + cluster:16",
        "quantize_weights:8",
        "prune_structured:0.3,epochs=16 + cluster:16",
        "prune_structured:0.7,epochs=16 + cluster:16",
        "half",
    ),
    "latency_ms": (
        "quantize_static",
        "prune_structured:0.5,epochs=16",
        "quantize_dynamic",
        "prune_structured:0.5,epochs=16 + quantize_static",
        "prune_structured:0.7,epochs=16",
        "half",
    ),
}
_MOST_FAILURES = 5
_DEAD_ENDS = (UnsupportedError, InputError, ParityError)


class Bench(Protocol):
    """What a search needs of a study."""

    @property
    def is_aside(self) -> bool:
        """Whether trials run in another process than the estimator."""
        ...

    def get_ready(self) -> None:
        """Prepares for the first trial, without waiting."""
        ...

    def known(self) -> list[Measured]:
        """Returns what was measured so far, the baseline among it."""
        ...

    def trial(self, recipe: Recipe, max_drop: float, context: TimedContext) -> Measured | Refused:
        """Measures a recipe, stores it, or gives it up early."""
        ...

    def confirm(self, chosen: Measured, context: TimedContext, budget_s: float) -> Confirmed | None:
        """Scores the chosen one on unseen samples, and stores that."""
        ...

    def estimator(self) -> Any:
        """Returns the study's estimator."""
        ...


@dataclass
class _Count:
    """What happened so far."""

    measured: int = 0
    given_up: int = 0
    known: int = 0
    failed: int = 0


class Searching:
    """One search. It ends by its budget, by stop, by Ctrl-C, or when nothing promises a gain.

    Args:
        store: The workspace.
        bench: The study.
        goal: What is asked for.
        config: What the run remembers of it.
        inputs: Digests of model and dataset.
        seed: For the proposals.
        began: When the person asked, on the monotonic clock; by default when `run` is called.
    """

    def __init__(
        self,
        store: Store,
        bench: Bench,
        goal: Goal,
        config: Mapping[str, Any],
        inputs: Mapping[str, str],
        seed: int = 0,
        began: float | None = None,
    ) -> None:
        self._store = store
        self._bench = bench
        self._goal = goal
        self._seed = seed
        self._count = _Count()
        self._given_start = began
        first_s = min(_FIRST_TRIAL_S, 0.1 * goal.budget_s)
        self._costs = TrialCosts(first_s, _busy() * _FIRST_NETWORK_S, _busy() * _FIRST_EPOCH_S)
        self._is_short = False
        self._search: Search | None = None
        self._preparing: Preparing | None = None
        self._tried: dict[str, float | None] = {}
        self.run_id = store.runs.create(KIND, {**config, **goal.to_json()}, inputs).id

    def run(
        self, on_event: Callable[[str, Mapping[str, Any]], None]
    ) -> tuple[Measured, SearchReport]:
        """Returns the best variant and the report; a first look at the clock is taken here."""
        self._began = self._given_start or time.monotonic()
        self._deadline = self._began + self._goal.budget_s
        with self._store.runs.lock(self.run_id):
            self._store.runs.start(self.run_id)
            context = RunContext(self._store.runs, self.run_id, on_event)
            try:
                return self._whole(context)
            except BaseException as error:
                found = storage_error(error, root=self._store.home.root)
                self._store.runs.finish(self.run_id, "failed", found)
                raise
            finally:
                context.close()

    def _whole(self, context: RunContext) -> tuple[Measured, SearchReport]:
        ended = self._ended(context)
        known = self._bench.known()
        best = self._goal.best(known)
        confirmed = None
        if ended not in {"interrupted", "stopped"} and not best.is_baseline:
            confirmed = self._confirmed(best, context)
        report = self._report(best, known, confirmed, ended)
        status = "cancelled" if ended in {"interrupted", "stopped"} else "succeeded"
        context.event("found", recipe=best.recipe, **report.to_json())
        context.set_metrics(
            size_bytes=best.size_bytes, latency_ms=best.latency_ms, drop=drop_of(best)
        )
        self._store.runs.add_output(self.run_id, "variant", best.artifact)
        self._store.runs.finish(self.run_id, status)  # type: ignore[arg-type]
        return best, report

    def _ended(self, context: RunContext) -> str:
        """Searches; returns why it ended."""
        try:
            self._bench.get_ready()
            self._count.known = len(self._bench.known())
            first = self._proposal()  # before the estimates take the processor
            has_room = self._bench.is_aside and _busy() < _CROWDED
            if not has_room and first is not None and self._left() > self._expected():
                self._one(context, first)  # so that there is something, however long they take
                first = None
            self._preparing = Preparing(
                lambda: self._ready_search(context), is_aside=self._bench.is_aside
            )
            while self._left() > self._expected():
                self._is_short = False
                if not self._one(context, first):
                    return "budget" if self._is_short else "exhausted"
                first = None
        except OutOfTimeError:
            return "budget"
        except CancelledError:
            return "stopped"
        except KeyboardInterrupt:
            return "interrupted"
        except (StorageError, RunFailedError) as error:
            return error.message
        return "budget"

    def _ready_search(self, context: RunContext) -> Search | None:
        """Returns a search with its candidates, which knows what was measured before."""
        until = self._deadline - self._reserve()
        if not self._bench.is_aside:
            until = self._began + _PREPARE * self._goal.budget_s
        timed = TimedContext(context, until)
        looks = int(min(_MOST_LOOKS, _LOOKS_PER_S * self._goal.budget_s))
        try:
            timed.check()
            estimator = self._bench.estimator()
            search = Search(estimator, self._goal, seed=self._seed)
            search.prepare(timed, looks)
            macs, train = estimator.prober.plain.macs, estimator.engine.dataset.train
            epoch_s = _busy() * epoch_seconds(macs, len(train))
            self._costs.expect(_busy() * _FIRST_NETWORK_S, epoch_s)
        except OutOfTimeError:
            return None
        return search

    def _one(self, context: RunContext, recipe: Recipe | None = None) -> bool:
        """Tries a recipe, by default the next proposal; returns whether there was one."""
        self._show(context, "looking for the next recipe")
        recipe = recipe or self._proposal()
        if recipe is None:
            return False
        self._show(context, f"trying {_short(recipe)}")
        began = time.monotonic()
        timed = TimedContext(context, self._deadline - self._reserve())
        timed.check()
        try:
            found = self._bench.trial(recipe, self._goal.max_drop, timed)
        except _DEAD_ENDS:
            self._tried[str(recipe)] = None
            return True
        except CancelledError:
            timed.check()  # by the clock, or by a person
            raise
        except RunFailedError:
            self._tried[str(recipe)] = None
            self._count.failed += 1
            if self._count.failed >= _MOST_FAILURES:
                raise
            return True
        self._costs.note(split_structure(recipe)[0], time.monotonic() - began)
        self._learn(recipe, found, context)
        return True

    def _proposal(self) -> Recipe | None:
        """Returns what to try next: plain recipes first, until there are estimates."""
        while True:
            search = self._told_search()
            if search is not None:
                return search.propose(self._price)
            plain = next((r for r in self._plain() if str(r) not in self._tried), None)
            if plain is not None or self._preparing is None or self._preparing.is_over:
                return plain
            self._preparing.wait(self._left())
            if not self._preparing.is_over:
                raise OutOfTimeError("The estimates were not ready in time.")

    def _told_search(self) -> Search | None:
        """Returns the search, told all that was tried; None while it is not ready."""
        if self._search is None and self._preparing is not None:
            self._search = self._preparing.search()
            if self._search is not None:
                for measured in known_first(self._bench.known()):
                    self._search.tell(measured)
                    step, _ = split_structure(parse(measured.recipe_json))
                    if step is not None:
                        self._costs.note_built(step)
        if self._search is not None:
            for text, drop in self._tried.items():
                self._search.refuse(parse(text), drop or 0.0)
            self._tried.clear()
        return self._search

    def _plain(self) -> list[Recipe]:
        known = {measured.recipe for measured in self._bench.known()}
        found = []
        for text in _PLAIN[self._goal.minimize]:
            if not all(part.partition(":")[0] in METHODS for part in text.split(" + ")):
                continue
            recipe = parse(text)
            step, _ = split_structure(recipe)
            if str(recipe) not in known and math.isfinite(self._price(step)):
                found.append(recipe)
        return found

    def _learn(self, recipe: Recipe, found: Measured | Refused, context: RunContext) -> None:
        if isinstance(found, Refused):
            self._count.given_up += 1
            self._tried[str(recipe)] = found.drop
        else:
            self._count.measured += 1
            context.log(self._count.measured, **_figures(found))
            if self._search is not None:
                self._search.tell(found)
        context.event("tried", recipe=str(recipe), is_measured=isinstance(found, Measured))

    def _confirmed(self, best: Measured, context: RunContext) -> Confirmed | None:
        timed = TimedContext(context, float("inf"))
        self._show(context, "confirming on unseen samples")
        try:
            return self._bench.confirm(best, timed, max(self._left_in_all(), self._reserve()))
        except (CancelledError, KeyboardInterrupt):
            return None

    # Time.

    def _left_in_all(self) -> float:
        return self._deadline - time.monotonic()

    def _left(self) -> float:
        return self._left_in_all() - self._reserve()

    def _reserve(self) -> float:
        share = _RESERVE * self._goal.budget_s
        return min(max(share, _LEAST_RESERVE_S), _MOST_RESERVE_S, 0.5 * self._goal.budget_s)

    def _expected(self) -> float:
        return self._costs.of(None)

    def _price(self, step: Step | None) -> float:
        """Returns the seconds of a trial; infinity if it would hardly be over in time."""
        seconds = self._costs.of(step)
        is_fitting = step is None or _CAREFUL * seconds <= self._left()
        self._is_short |= not is_fitting
        return seconds if is_fitting else math.inf

    # What is seen.

    def _show(self, context: RunContext, note: str) -> None:
        passed = min(time.monotonic() - self._began, self._goal.budget_s)
        best = self._goal.best(self._bench.known())
        note = f"{self._count.measured} measured, best {_words(best)}; {note}"
        done = min(round(passed), round(self._goal.budget_s) - 1)
        context.progress(max(done, 0), max(round(self._goal.budget_s), 1), note)

    def _report(
        self, best: Measured, known: list[Measured], confirmed: Confirmed | None, ended: str
    ) -> SearchReport:
        over = self._goal.excess(best)
        seconds = time.monotonic() - self._began
        baseline = next(m for m in known if m.is_baseline)
        return SearchReport(
            run=f"run:{self.run_id}",
            goal=self._goal.to_json(),
            is_within=not over,
            binding=max(over, key=lambda name: over[name]) if over else "",
            measured=self._count.measured,
            given_up=self._count.given_up,
            known=self._count.known,
            seconds=round(seconds, 2),
            ended=ended,
            words=words_of(self._goal, best, baseline, known, confirmed, self._counts(ended)),
        )

    def _counts(self, ended: str) -> str:
        count = self._count
        seconds = time.monotonic() - self._began
        text = f"{count.measured} variants measured and {count.given_up} given up early"
        why = {
            "budget": "",
            "exhausted": "; nothing else promised a gain",
            "stopped": "; it was stopped, and continues when called again",
            "interrupted": "; it was interrupted, and continues when called again",
        }
        return f"{text} in {seconds:.0f} s{why.get(ended, f'; it ended early: {ended}')}."


def _busy() -> float:
    """Returns by how much longer everything takes than on a quiet machine."""
    if not hasattr(os, "getloadavg"):
        return 1.0
    return min(max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1)), _BUSIEST)


def _figures(measured: Measured) -> dict[str, float]:
    return {
        "size_bytes": float(measured.size_bytes),
        "latency_ms": measured.latency_ms,
        "score": measured.score,
        "drop": drop_of(measured),
    }


def _words(measured: Measured) -> str:
    scale, unit = (100, " pt") if is_share(measured.metric) else (1, "")
    change = -scale * drop_of(measured)
    return f"{measured.size_bytes / 1000:.1f} kB at {change:+.2g}{unit}".replace("-", "−")


def _short(recipe: Recipe) -> str:
    text = str(recipe)
    return text if len(text) <= 40 else f"{text[:39]}…"
