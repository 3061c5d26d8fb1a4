"""Estimates of recipes: at once from gradients, then from a table, then from what was measured.

The engine measures; this says beforehand what it would find, with a band, and keeps account of how
often that held.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from workbench.compression.drops import DropModel, Known
from workbench.compression.estimate import Estimate, Report
from workbench.compression.latency_probe import latency_table
from workbench.compression.latency_table import LatencyTable
from workbench.compression.locate import MIXED_SIZE_MARGIN, SIZE_MARGIN, Located, Locator
from workbench.compression.looks import Looker, candidates, spread_out
from workbench.compression.measured import Measured
from workbench.compression.page_table import PageTable, page_table
from workbench.compression.probing import Prober
from workbench.compression.recipe import Recipe, parse
from workbench.compression.sensitivity import SensitivityTable
from workbench.compression.study import StudyEngine
from workbench.compression.table_store import TableStore
from workbench.compression.treatments import default_treatments, key_of, needs_training
from workbench.compression.untrained import LEAST_REACH, NEAR, trained_points, untrained
from workbench.core.records import Interval
from workbench.store import Context, NullContext
from workbench.tasks import METRICS

_LOOKS = 60
_ENOUGH = 5
_UNBOUNDED_MOST = 300.0
_PATIENCE_S = 0.1
_SAVED_EACH = 10


class Estimator:
    """See the module's docstring. One for a study; safe to refine in another thread.

    Args:
        engine: The study's engine; its baseline is measured if it was not yet.
        samples: Held-out samples in the table; by default what is quick for this model.
        seed: For projections and quick looks.
    """

    def __init__(self, engine: StudyEngine, *, samples: int | None = None, seed: int = 0) -> None:
        self.engine = engine
        self.seed = seed
        self.measured: dict[str, Measured] = {}
        self._lock = threading.RLock()
        self._turn = threading.Lock()
        self._locator: Locator | None = None
        self._latency: LatencyTable | None = None
        self._drops: DropModel | None = None
        self._kinds: frozenset[str] | None = None
        self.baseline = engine.baseline()
        self.subject = engine.build(Recipe())
        self._samples = samples
        self._kept = TableStore(engine, samples, seed)
        self.table, self.looks = self._kept.load()
        self._account = self._kept.load_account()
        self._saved = self._extent

    @property
    def locator(self) -> Locator:
        """Finds recipes in the table; made when first needed."""
        if self._locator is None:
            tools = self.engine.tools(NullContext(Path()))
            self._locator = Locator(Prober(self.subject, tools, self._samples), self.table)
        return self._locator

    @property
    def prober(self) -> Prober:
        """Runs changed layers."""
        return self.locator.prober

    @property
    def first(self) -> SensitivityTable:
        """The table of first answers."""
        return self.locator.first

    @property
    def methods(self) -> tuple[str, ...]:
        """All methods, in the order of `Located.place`."""
        return self.locator.methods

    def estimate(self, recipe: Recipe | str | Sequence[Any] | Mapping[str, Any]) -> Estimate:
        """Returns score, size, latency and MACs of a recipe, each with a band.

        Treatments that the table does not hold yet are added, which takes a moment.

        Raises:
            InputError: The recipe is not valid.
        """
        parsed = parse(recipe) if recipe else Recipe()
        with self._lock:
            known = self.measured.get(str(parsed))
            if parsed.is_baseline:
                known = self.baseline
            if needs_training(parsed):
                base = self.locator.locate(Recipe())
                chance = self.baseline.score + self.point * self.most
                return untrained(parsed, self.baseline, known, self.measured, base.macs, chance)
            located = self.locator.locate(parsed)
            return self._estimate_of(parsed, located, known)

    def refine(self, context: Context | None = None, looks: int = _LOOKS) -> None:
        """Fills the table for the default axes and takes quick looks; remembered in the store.

        Args:
            context: Progress and stop.
            looks: Recipes to look at on a few hundred samples.
        """
        work = context or NullContext(Path())
        while not self._turn.acquire(timeout=_PATIENCE_S):
            work.check()  # another thread is at it; what is asked meanwhile is answered
        try:
            self._fill(work, looks)
            self._look(work, looks)
        finally:
            self._turn.release()

    def _fill(self, work: Context, looks: int) -> None:
        wanted = default_treatments(self.subject)
        for index, treatment in enumerate(wanted):
            work.check()
            work.progress(index, len(wanted) + looks, f"probing {key_of(treatment)}")
            with self._lock:
                self.locator.add(dict.fromkeys(self.locator.names, treatment))
                self._drops = None
        self.save()

    def _look(self, work: Context, looks: int) -> None:
        done = len(self.table) + len(self.looks)
        chosen = self._worth_a_look(looks - len(self.looks))
        if not chosen:
            return
        looker = Looker(self.engine, self.prober, seed=self.seed)
        for index, recipe in enumerate(chosen, 1):
            work.check()
            work.progress(done + index, done + len(chosen), f"a quick look at {recipe}")
            with self._lock:
                self.looks.append(looker.look(recipe))
                self._drops = None
            if index % _SAVED_EACH == 0:
                self.save()
        self.prober.forget()
        self.save()

    def save(self) -> None:
        """Keeps table and quick looks in the store, if there are more than before."""
        with self._lock:
            if self._extent != self._saved:
                self._kept.save(self.table, self.looks)
                self._saved = self._extent

    @property
    def _extent(self) -> tuple[int, int]:
        return len(self.table), len(self.looks)

    @property
    def is_refined(self) -> bool:
        """Whether the table and the quick looks are there."""
        return len(self.looks) >= _ENOUGH

    @property
    def is_complete(self) -> bool:
        """Whether `refine` has nothing left to do."""
        return len(self.looks) >= _LOOKS

    def observe(self, measured: Measured) -> None:
        """Learns from a measurement, after comparing it with what would have been said.

        The comparison is kept in the store: a recipe is compared once, whoever observes it.
        """
        if measured.is_baseline or measured.recipe in self.measured:
            return
        recipe = parse(measured.recipe_json)
        with self._lock:
            if measured.recipe not in self._account:
                self._account.add(self.estimate(recipe), measured)
                self._kept.save_account(self._account)
            self.measured[measured.recipe] = measured
            self._drops = self._kinds = None
            self._learn_latency()
            self.save()

    def report(self) -> Report:
        """Returns how the estimates held so far, each made before its recipe was measured."""
        return self._account.report()

    def locate(self, recipe: Recipe) -> Located:
        """Returns what the table holds of a recipe; treatments not in it are added."""
        with self._lock:
            return self.locator.locate(recipe)

    def drop(self, located: Located) -> tuple[float, float, float]:
        """Returns the drop in points, and the ends of its band."""
        with self._lock:
            return self._drop_model().drop(located)

    def page_table(self) -> PageTable:
        """Returns the table as a page computes estimates from it; see `page_table`'s module."""
        bounds = METRICS.get(self.baseline.metric).bounds
        with self._lock:
            facts = {
                "metric": self.baseline.metric,
                "score": self.baseline.score,
                "higher_is_better": self.baseline.higher_is_better,
                "bounds": [b if math.isfinite(b) else None for b in bounds],
                "point": self.point,
                "chance": self.baseline.score + self.point * self.most,
                "size_margin": SIZE_MARGIN,
                "mixed_size_margin": MIXED_SIZE_MARGIN,
                "baseline_bytes": self.baseline.size_bytes,
                "measured": len(self.measured),
                "enough": _ENOUGH,
                "measured_kinds": sorted(self._kinds_measured()),
                "trained": trained_points(self.measured),
                "near": NEAR,
                "has_unseen": len(self.locator.names) < len(self.subject.layers),
                "least_reach": LEAST_REACH,
            }
            return page_table(self.locator, self._drop_model(), self.latency, facts)

    @property
    def most(self) -> float:
        """The drop to chance, in points."""
        targets = np.asarray(self.engine.dataset.val.targets)
        chance = METRICS.get(self.baseline.metric).chance(targets)
        return _UNBOUNDED_MOST if chance is None else (chance - self.baseline.score) / self.point

    @cached_property
    def point(self) -> float:
        """What a drop of one point does to the score: less, or more of an error."""
        unit = METRICS.get(self.engine.metric).unit(np.asarray(self.engine.dataset.val.targets))
        return -0.01 * unit if self.baseline.higher_is_better else 0.01 * unit

    # From the table to figures.

    def _estimate_of(self, recipe: Recipe, located: Located, known: Measured | None) -> Estimate:
        latency = self.latency.of(located.int8, located.others)
        margin = located.size_margin
        size = Interval(located.bytes, located.bytes * (1 - margin), located.bytes * (1 + margin))
        score = self._score_band(located)
        if known is not None:
            score = Interval(known.score, known.score, known.score)
            size = Interval(*[float(known.size_bytes)] * 3)
            latency = Interval(*[known.latency_ms] * 3)
        is_provisional, reason = self._words(located, known)
        return Estimate(
            recipe=str(recipe),
            metric=self.baseline.metric,
            score=score,
            size_bytes=size,
            latency_ms=latency,
            macs=Interval(*[float(round(located.macs))] * 3),
            is_provisional=is_provisional,
            reason=reason,
        )

    def _score_band(self, located: Located) -> Interval:
        if not len(located.rows) and not located.is_blind:
            return Interval(*[self.baseline.score] * 3)
        value, low, high = self.drop(located) if len(located.rows) else (0.0, 0.0, 0.0)
        if located.is_blind:
            high = max(high, self._drop_model().worst)
        bounds = METRICS.get(self.baseline.metric).bounds
        ends = sorted(self.baseline.score + self.point * end for end in (low, high))
        middle = self.baseline.score + self.point * value
        return Interval(*(float(np.clip(end, *bounds)) for end in (middle, *ends)))

    def _words(self, located: Located, known: Measured | None) -> tuple[bool, str]:
        if known is not None:
            return False, "measured"
        count = len(self.measured)
        strange = sorted(located.kinds - self._kinds_measured())
        reasons = []
        if located.is_blind:
            reasons.append("some of its layers cannot be looked into before it is measured")
        if located.is_first:
            reasons.append("a first answer from gradients")
        if count < _ENOUGH:
            reasons.append(f"provisional: {count} of {_ENOUGH} measurements")
        elif strange:
            reasons.append(f"provisional: {', '.join(strange)} was never measured here")
        return bool(reasons), "; ".join(reasons)

    def _drop_model(self) -> DropModel:
        if self._drops is None:
            known = [*self._looked(), *self._observed()]
            self._drops = DropModel(known, self.most, len(self.methods) + 1)
        return self._drops

    def _looked(self) -> list[Known]:
        looks = [look for look in self.looks if str(look.recipe) not in self.measured]
        return [Known(self.locator.locate(la.recipe), la.drop, la.noise) for la in looks]

    def _observed(self) -> list[Known]:
        found = []
        for measured in self.measured.values():
            recipe = parse(measured.recipe_json)
            if needs_training(recipe):
                continue
            located = self.locator.locate(recipe)
            if not located.is_blind:  # else the table does not explain its drop
                drop = (measured.score - self.baseline.score) / self.point
                found.append(Known(located, drop, 0.0))
        return found

    def _kinds_measured(self) -> frozenset[str]:
        if self._kinds is None:
            found = {kind for item in self._observed() for kind in item.located.kinds}
            self._kinds = frozenset(found)
        return self._kinds

    def _worth_a_look(self, count: int) -> list[Recipe]:
        if count <= 0:
            return []
        choices = default_treatments(self.subject)
        found = candidates(self.locator.names, choices, self.seed)
        scores = np.array([self.locator.locate(recipe).score for recipe in found])
        return [found[index] for index in spread_out(scores, count, self.seed)]

    # Latency.

    @property
    def latency(self) -> LatencyTable:
        """The table of operators; int8 is in it once a wholly int8 variant was measured."""
        if self._latency is None:
            self._latency = latency_table(self.engine, self.subject, self.baseline, self.measured)
            self._learn_latency()
        return self._latency

    def _learn_latency(self) -> None:
        if self._latency is None:
            return
        if self._latency.int8_ms is None:
            self._latency = latency_table(self.engine, self.subject, self.baseline, self.measured)
        mixtures = []
        for measured in self.measured.values():
            recipe = parse(measured.recipe_json)
            if needs_training(recipe):
                continue
            located = self.locator.locate(recipe)
            if not located.others:
                mixtures.append((located.int8, measured.latency_ms))
            elif not located.int8 and len(located.others) == 1:
                share = measured.latency_ms / self.baseline.latency_ms
                self._latency.factors[located.others[0]] = share
        self._latency.learn(mixtures)
