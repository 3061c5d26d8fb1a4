"""A search as a run: proposals from the estimates, trials by the measuring worker, a deadline.

Every variant is stored the moment it is measured, so that nothing is lost however the search ends.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from workbench.compression.confirmation import Confirmed
from workbench.compression.goal import SHARES, Goal, drop_of
from workbench.compression.growing import Refused
from workbench.compression.measured import Measured
from workbench.compression.recipe import Recipe, parse
from workbench.compression.search import Search, known_first, split_structure
from workbench.core.errors import (
    CancelledError,
    InputError,
    RunFailedError,
    StorageError,
    UnsupportedError,
)
from workbench.core.host import FileLock
from workbench.exporting.parity import ParityError
from workbench.flow.search_report import SearchReport, words_of
from workbench.store import RunContext, Store

KIND = "search"
_PREPARE = 0.45
_RESERVE, _LEAST_RESERVE_S, _MOST_RESERVE_S = 0.06, 0.3, 20.0
_FIRST_TRIAL_S, _FIRST_STRUCTURE = 0.6, 0.2
_LOOKS_PER_S, _MOST_LOOKS = 0.4, 24
_DEAD_ENDS = (UnsupportedError, InputError, ParityError)


class Bench(Protocol):
    """What a search needs of a study."""

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


class OutOfTimeError(CancelledError):
    """The wall time that was given is over."""

    code = "out_of_time"


class TimedContext:
    """A run's context whose `check` also obeys a deadline.

    Args:
        run: The run's own context.
        until: When time is up, on the monotonic clock.
    """

    def __init__(self, run: RunContext, until: float) -> None:
        self._run = run
        self.until = until

    @property
    def directory(self) -> Path:
        """The run's folder."""
        return self._run.directory

    def check(self) -> None:
        """Obeys stop, pause and the deadline.

        Raises:
            CancelledError: The run was asked to stop.
            OutOfTimeError: Time is up.
        """
        self._run.check()
        if time.monotonic() > self.until:
            raise OutOfTimeError("The time for this is over.")

    def tell(self, kind: str, data: Mapping[str, Any]) -> None:
        """Takes an event of a measurement: only the occasion to check."""
        self.check()

    def log(self, step: int, **metrics: float) -> None:
        """Nothing: the curves of a fine-tuning are not the search's."""

    def event(self, kind: str, **data: Any) -> None:
        """Nothing, likewise."""

    def progress(self, done: int, total: int, note: str = "") -> None:
        """Nothing, likewise: the search shows its own."""

    def set_metrics(self, **metrics: float) -> None:
        """Nothing, likewise."""

    def output(self, name: str, artifact: Any) -> None:
        """Nothing, likewise."""


@dataclass
class _Count:
    """What happened so far."""

    measured: int = 0
    given_up: int = 0
    known: int = 0
    plain_s: list[float] = field(default_factory=list)
    structure_s: list[float] = field(default_factory=list)
    structures: set[float] = field(default_factory=set)


class Searching:
    """One search. It ends by its budget, by stop, by Ctrl-C, or when nothing promises a gain.

    Args:
        store: The workspace.
        bench: The study.
        goal: What is asked for.
        config: What the run remembers of it.
        inputs: Digests of model and dataset.
        seed: For the proposals.
    """

    def __init__(
        self,
        store: Store,
        bench: Bench,
        goal: Goal,
        config: Mapping[str, Any],
        inputs: Mapping[str, str],
        seed: int = 0,
    ) -> None:
        self._store = store
        self._bench = bench
        self._goal = goal
        self._seed = seed
        self._count = _Count()
        self._search: Search | None = None
        self.run_id = store.runs.create(KIND, {**config, **goal.to_json()}, inputs).id

    def run(
        self, on_event: Callable[[str, Mapping[str, Any]], None]
    ) -> tuple[Measured, SearchReport]:
        """Returns the best variant and the report; a first look at the clock is taken here."""
        self._began = time.monotonic()
        self._deadline = self._began + self._goal.budget_s
        with FileLock(self._store.runs.lock_path(self.run_id)):
            self._store.runs.start(self.run_id)
            context = RunContext(self._store.runs, self.run_id, on_event)
            try:
                return self._whole(context)
            except BaseException:
                self._store.runs.finish(self.run_id, "failed")
                raise
            finally:
                context.event("finished", status=self._store.runs.get(self.run_id).status)
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
            self._prepare(context)
            while self._left() > self._expected():
                if not self._one(context):
                    return "exhausted"
        except OutOfTimeError:
            return "budget"
        except CancelledError:
            return "stopped"
        except KeyboardInterrupt:
            return "interrupted"
        except (StorageError, RunFailedError) as error:
            return error.message
        return "budget"

    def _prepare(self, context: RunContext) -> None:
        search = Search(self._bench.estimator(), self._goal, seed=self._seed)
        self._search = search
        known = known_first(self._bench.known())
        self._count.known = len(known)
        self._show(context, "estimating")
        self._fill(search, context, self._began + _PREPARE * self._goal.budget_s)
        for measured in known:
            search.tell(measured)
            self._note_structure(measured.recipe_json)

    def _fill(self, search: Search, context: RunContext, until: float) -> None:
        looks = int(min(_MOST_LOOKS, _LOOKS_PER_S * self._goal.budget_s))
        try:
            search.prepare(TimedContext(context, until), looks)
        except OutOfTimeError:
            search.fall_back()

    def _one(self, context: RunContext) -> bool:
        """Proposes and tries one recipe; returns whether there was one."""
        recipe = self._proposal(context)
        if recipe is None or self._search is None:
            return False
        self._show(context, f"trying {_short(recipe)}")
        began = time.monotonic()
        timed = TimedContext(context, self._deadline - self._reserve())
        timed.check()
        try:
            found = self._bench.trial(recipe, self._goal.max_drop, timed)
        except _DEAD_ENDS:
            self._search.refuse(recipe)
            return True
        self._note_time(recipe, time.monotonic() - began)
        self._learn(recipe, found, context)
        return True

    def _proposal(self, context: RunContext) -> Recipe | None:
        search = self._search
        if search is None:
            return None
        recipe = search.propose(None if self._can_restructure() else self._count.structures)
        if recipe is None and not search.is_ready:
            self._fill(search, context, self._deadline - self._reserve())
            recipe = search.propose(self._count.structures)
        return recipe

    def _learn(self, recipe: Recipe, found: Measured | Refused, context: RunContext) -> None:
        if self._search is None:
            return
        if isinstance(found, Refused):
            self._count.given_up += 1
            self._search.refuse(recipe, found.drop)
        else:
            self._count.measured += 1
            self._search.tell(found)
            context.log(self._count.measured, **_figures(found))
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
        plain = self._count.plain_s[-5:]
        return sum(plain) / len(plain) if plain else min(_FIRST_TRIAL_S, 0.1 * self._goal.budget_s)

    def _can_restructure(self) -> bool:
        slow = self._count.structure_s
        wanted = max(slow) if slow else _FIRST_STRUCTURE * self._goal.budget_s
        return self._left() > wanted

    def _note_time(self, recipe: Recipe, seconds: float) -> None:
        amount, _ = split_structure(recipe)
        if amount and amount not in self._count.structures:
            self._count.structure_s.append(seconds)
            self._count.structures.add(amount)
        else:
            self._count.plain_s.append(seconds)

    def _note_structure(self, recipe_json: Mapping[str, Any]) -> None:
        amount, _ = split_structure(parse(recipe_json))
        if amount:
            self._count.structures.add(amount)

    # What is seen.

    def _show(self, context: RunContext, note: str) -> None:
        passed = min(time.monotonic() - self._began, self._goal.budget_s)
        if self._search is not None:
            best = self._search.best()
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


def _figures(measured: Measured) -> dict[str, float]:
    return {
        "size_bytes": float(measured.size_bytes),
        "latency_ms": measured.latency_ms,
        "score": measured.score,
        "drop": drop_of(measured),
    }


def _words(measured: Measured) -> str:
    scale, unit = (100, " pt") if measured.metric in SHARES else (1, "")
    change = -scale * drop_of(measured)
    return f"{measured.size_bytes / 1000:.1f} kB at {change:+.2g}{unit}".replace("-", "−")


def _short(recipe: Recipe) -> str:
    text = str(recipe)
    return text if len(text) <= 40 else f"{text[:39]}…"
