"""Estimates of recipes: at once from gradients, then from a table, then from what was measured.

The engine measures; this says beforehand what it would find, with a band, and keeps account of how
often that held.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from workbench.compression import conformal
from workbench.compression.effects import shared_key
from workbench.compression.estimate import Estimate, Report
from workbench.compression.latency_probe import latency_table
from workbench.compression.latency_table import LatencyTable
from workbench.compression.looks import Look, candidates, quick_look, spread_out
from workbench.compression.measured import Measured
from workbench.compression.method import WeightMethod
from workbench.compression.methods import METHODS
from workbench.compression.probing import Prober
from workbench.compression.recipe import Recipe, parse
from workbench.compression.score_map import Points, ScoreMap, unsquash
from workbench.compression.sensitivity import COMMON, Cell, SensitivityTable
from workbench.compression.study import StudyEngine, library_versions
from workbench.compression.treatments import (
    Treatment,
    axis_of,
    changes_weights,
    default_treatments,
    key_of,
    kind_of,
    needs_training,
    treatments_of,
)
from workbench.compression.untrained import untrained
from workbench.core.ids import digest_json
from workbench.core.records import Interval
from workbench.store import Context, NullContext

_VERSION = 1
_LOOKS = 40
_ENOUGH = 5
_CLOSE = 0.35
_SIZE_MARGIN = 0.005
_STRANGE, _FIRST = 1.6, 1.5
_REGRESSION_MOST = 300.0
_BELOW_CHANCE = 1.15
_KIND = "sensitivity"


@dataclass(frozen=True)
class Located:
    """A recipe as the table sees it.

    Attributes:
        rows: Of its cells.
        weights: How much of each.
        score: From the Gram matrix.
        shares: Of the weights each method treats, in the order of `Estimator.methods`.
        bytes: Of the file.
        macs: A sample.
        kinds: Kinds of treatments.
        int8: Layers in int8.
        others: Further methods that may change the latency.
        is_first: Whether the score is a first answer from gradients.
    """

    rows: np.ndarray
    weights: np.ndarray
    score: float
    shares: np.ndarray
    bytes: float
    macs: float
    kinds: frozenset[str]
    int8: tuple[str, ...]
    others: tuple[str, ...]
    is_first: bool


@dataclass
class _Account:
    """What was said and what was found."""

    inside: list[bool] = field(default_factory=list)
    errors: list[float] = field(default_factory=list)
    latency_errors: list[float] = field(default_factory=list)


class Estimator:
    """See the module's docstring. One for a study; safe to refine in another thread.

    Args:
        engine: The study's engine; its baseline is measured if it was not yet.
        samples: Held-out samples in the table.
        seed: For projections and quick looks.
    """

    def __init__(self, engine: StudyEngine, *, samples: int = 64, seed: int = 0) -> None:
        self.engine = engine
        self.seed = seed
        self.methods = tuple(METHODS)
        self.table = SensitivityTable()
        self.first = SensitivityTable()
        self.looks: list[Look] = []
        self.measured: dict[str, Measured] = {}
        self._samples = samples
        self._located: dict[tuple[str, bool], Located] = {}
        self._ladders: dict[str, dict[float, Treatment]] = {}
        self._account = _Account()
        self._lock = threading.RLock()
        self._prober: Prober | None = None
        self._latency: LatencyTable | None = None
        self._map: tuple[ScoreMap, float, set[str]] | None = None
        self.baseline = engine.baseline()
        self.subject = engine.build(Recipe())
        self._restore()

    @property
    def prober(self) -> Prober:
        """Runs changed layers; made when first needed."""
        if self._prober is None:
            tools = self.engine.tools(NullContext(Path()))
            self._prober = Prober(self.subject, tools, self._samples)
        return self._prober

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
                base = self._located_of(Recipe())
                chance = self.baseline.score - self.most / 100
                return untrained(parsed, self.baseline, known, self.measured, base.macs, chance)
            located = self._located_of(parsed)
            return self._estimate_of(parsed, located, known)

    def refine(self, context: Context | None = None, looks: int = _LOOKS) -> None:
        """Fills the table for the default axes and takes quick looks; remembered in the store.

        Args:
            context: Progress and stop.
            looks: Recipes to look at on a few hundred samples.
        """
        work = context or NullContext(Path())
        wanted = default_treatments(self.subject)
        for index, treatment in enumerate(wanted):
            work.check()
            work.progress(index, len(wanted) + looks, f"probing {key_of(treatment)}")
            with self._lock:
                self._add(dict.fromkeys(self._names, treatment), projected=False)
        self._save()
        for index, recipe in enumerate(self._worth_a_look(looks - len(self.looks))):
            work.check()
            work.progress(len(wanted) + index, len(wanted) + looks, f"a quick look at {recipe}")
            found = quick_look(self.engine, recipe)
            with self._lock:
                self.looks.append(found)
                self._map = None
        self._save()

    @property
    def is_refined(self) -> bool:
        """Whether the table and the quick looks are there."""
        return len(self.looks) >= _ENOUGH

    def observe(self, measured: Measured) -> None:
        """Learns from a measurement, after comparing it with what would have been said."""
        if measured.is_baseline or measured.recipe in self.measured:
            return
        recipe = parse(measured.recipe_json)
        with self._lock:
            said = self.estimate(recipe)
            self.measured[measured.recipe] = measured
            if not said.needs_training:
                self._account.inside.append(said.score.low <= measured.score <= said.score.high)
                self._account.errors.append(100 * abs(said.score.value - measured.score))
                self._account.latency_errors.append(
                    abs(said.latency_ms.value / measured.latency_ms - 1)
                )
            self._map = None
            self._learn_latency()

    def report(self) -> Report:
        """Returns how the estimates held so far, each made before its recipe was measured."""
        account = self._account
        count = len(account.inside)
        if not count:
            return Report(0, None, None, None, "nothing was measured yet")
        coverage, error = float(np.mean(account.inside)), float(np.median(account.errors))
        words = (
            f"{sum(account.inside)} of {count} measured recipes lay inside their band of "
            f"{conformal.LEVEL:.0%}; half of them within {error:.2g} points of the estimate"
        )
        latency = float(np.median(account.latency_errors))
        return Report(count, coverage, error, latency, words)

    def locate(self, recipe: Recipe) -> Located:
        """Returns what the table holds of a recipe; treatments not in it are added."""
        with self._lock:
            return self._located_of(recipe)

    def drop(self, located: Located) -> tuple[float, float, float]:
        """Returns the drop in points, and the ends of its band."""
        found, width, seen = self._mapped()
        center, spread = found.predict(located.score, located.shares)
        half = width * spread * (_FIRST if located.is_first else 1.0)
        if located.kinds - seen:
            half *= _STRANGE
        most = found.most * _BELOW_CHANCE
        value, low, high = unsquash(center), unsquash(center - half), unsquash(center + half)
        return min(value, most), low, min(high, most)

    @property
    def most(self) -> float:
        """The drop to chance, in points."""
        if self.engine.description.task == "regression":
            return _REGRESSION_MOST
        targets = np.asarray(self.engine.dataset.val.targets)
        chance = float(np.bincount(targets.astype(int)).max() / len(targets))
        return 100 * (self.baseline.score - chance)

    # How a recipe is found in the table.

    def _located_of(self, recipe: Recipe) -> Located:
        chosen = treatments_of(recipe, self.subject)
        chosen = {name: steps for name, steps in chosen.items() if name in self._names}
        key = (recipe.digest, self._is_first(chosen))
        if key not in self._located:
            self._located[key] = self._look_up(chosen, is_first=key[1])
        return self._located[key]

    def _is_first(self, chosen: Mapping[str, Treatment]) -> bool:
        """Returns whether gradients answer: before the table is there, where they can."""
        if len(self.table) > 0 or not self.prober.can_project:
            return False
        return bool(chosen)

    def _look_up(self, chosen: Mapping[str, Treatment], *, is_first: bool) -> Located:
        table = self.first if is_first else self.table
        cells: dict[Cell, float] = {}
        parts = {n: self._parts(n, t, is_first=is_first) for n, t in chosen.items()}
        missing = {name: chosen[name] for name, found in parts.items() if found is None}
        if missing:
            self._add(missing, projected=is_first)
        for name, treatment in chosen.items():
            for part, weight in parts[name] or [(treatment, 1.0)]:
                if part:
                    cell = (name, key_of(part))
                    cells[cell] = cells.get(cell, 0.0) + weight
        cells = {cell: weight for cell, weight in cells.items() if cell in table}
        facts = [(table.facts[table.rows[cell]], weight) for cell, weight in cells.items()]
        shared = {shared_key(treatment) for treatment in chosen.values()}
        size = self.prober.plain.size + sum(f.bytes * w for f, w in facts)
        size += sum(table.shared_bytes.get(key, 0) for key in shared)
        if COMMON in table and any(changes_weights(t) for t in chosen.values()):
            cells[COMMON] = 1.0
        rows = np.array([table.rows[cell] for cell in cells], int)
        weights = np.array(list(cells.values()))
        return Located(
            rows=rows,
            weights=weights,
            score=table.score(rows, weights) if len(rows) else 1e-30,
            shares=self._shares(chosen),
            bytes=size,
            macs=self.prober.plain.macs + sum(f.macs * w for f, w in facts),
            kinds=frozenset(map(kind_of, chosen.values())),
            int8=tuple(n for n, t in chosen.items() if t[-1].plugin.produces == "int8"),
            others=tuple(
                dict.fromkeys(
                    step.method
                    for treatment in chosen.values()
                    for step in treatment
                    if not isinstance(step.plugin, WeightMethod) and step.plugin.produces != "int8"
                )
            ),
            is_first=is_first,
        )

    def _parts(
        self, name: str, treatment: Treatment, *, is_first: bool
    ) -> list[tuple[Treatment, float]] | None:
        """Returns what in the table makes up a treatment, and how much of each; None if nothing."""
        if (name, key_of(treatment)) in (self.first if is_first else self.table):
            return [(treatment, 1.0)]
        return None if is_first else self._between(name, treatment)

    def _between(self, name: str, treatment: Treatment) -> list[tuple[Treatment, float]] | None:
        """Returns the two neighbours on the axis of a treatment, if they are close enough."""
        axis = axis_of(treatment)
        if axis is None:
            return None
        standard, rest, amount = axis
        known = sorted(self._ladders.get(key_of(standard), {}).items())
        below = [item for item in known if item[0] <= amount]
        above = [item for item in known if item[0] > amount]
        is_rest_known = not rest or (name, key_of(rest)) in self.table
        if not below and known and amount < known[0][0] and is_rest_known:
            below = [(0.0, rest)]
        if not below or not above or above[0][0] - below[-1][0] > _CLOSE:
            return None
        (low, first), (high, second) = below[-1], above[0]
        share = (amount - low) / (high - low)
        return [(first, 1 - share), (second, share)]

    def _add(self, chosen: Mapping[str, Treatment], *, projected: bool) -> None:
        table = self.first if projected else self.table
        self.prober.add(table, chosen, projected=projected)
        if not projected:
            self._located.clear()
            for treatment in set(chosen.values()):
                self._note_ladder(treatment)

    def _note_ladder(self, treatment: Treatment) -> None:
        axis = axis_of(treatment)
        complete = all((name, key_of(treatment)) in self.table for name in self._names)
        if axis is not None and complete:
            self._ladders.setdefault(key_of(axis[0]), {})[axis[2]] = treatment

    @property
    def _names(self) -> list[str]:
        return [layer.name for layer in self.prober.layers]

    def _shares(self, chosen: Mapping[str, Treatment]) -> np.ndarray:
        sizes = {la.name: self.prober.plain.base[la.initializer].size for la in self.prober.layers}
        total = sum(sizes.values())
        found: dict[str, float] = {}
        for name, treatment in chosen.items():
            for step in treatment:
                found[step.method] = found.get(step.method, 0.0) + sizes[name] / total
        return np.array([found.get(method, 0.0) for method in self.methods])

    # From the table to figures.

    def _estimate_of(self, recipe: Recipe, located: Located, known: Measured | None) -> Estimate:
        latency = self.latency.of(located.int8, located.others)
        margin = 0.0 if recipe.is_baseline else _SIZE_MARGIN
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
        if not len(located.rows):
            return Interval(*[self.baseline.score] * 3)
        value, low, high = self.drop(located)
        sign = -0.01 if self.baseline.higher_is_better else 0.01
        ends = sorted(self.baseline.score + sign * end for end in (low, high))
        top = 1.0 if self.baseline.metric == "accuracy" else np.inf
        middle = self.baseline.score + sign * value
        return Interval(min(middle, top), ends[0], min(ends[1], top))

    def _words(self, located: Located, known: Measured | None) -> tuple[bool, str]:
        if known is not None:
            return False, "measured"
        count = len(self.measured)
        strange = sorted(located.kinds - self._kinds_measured())
        reasons = []
        if located.is_first:
            reasons.append("a first answer from gradients")
        if count < _ENOUGH:
            reasons.append(f"provisional: {count} of {_ENOUGH} measurements")
        elif strange:
            reasons.append(f"provisional: {', '.join(strange)} was never measured here")
        return bool(reasons), "; ".join(reasons)

    def _mapped(self) -> tuple[ScoreMap, float, set[str]]:
        if self._map is None:
            points = self._points()
            error = 1 - self.baseline.score if self.baseline.metric == "accuracy" else 0.02
            found = ScoreMap(self.most, points, max(error, 0.002))
            residuals, spreads = found.left_out()
            own = slice(int((points.samples > 0).sum()), None)  # looks come first, and are noisy
            width = conformal.width(residuals, spreads)
            if len(residuals[own]) >= 2 * _ENOUGH:
                width = max(width, conformal.width(residuals[own], spreads[own]))
            self._map = (found, width, self._kinds_seen())
        return self._map

    def _points(self) -> Points:
        entries = []
        for look in self.looks:
            if str(look.recipe) not in self.measured:
                entries.append((self._located_of(look.recipe), look.drop, look.samples))
        sign = 1.0 if self.baseline.higher_is_better else -1.0
        for measured in self.measured.values():
            recipe = parse(measured.recipe_json)
            if not needs_training(recipe):
                drop = 100 * sign * (self.baseline.score - measured.score)
                entries.append((self._located_of(recipe), drop, 0))
        entries = [entry for entry in entries if len(entry[0].rows)]
        shares = [located.shares for located, _, _ in entries]
        return Points(
            np.array([located.score for located, _, _ in entries]),
            np.array(shares).reshape(len(entries), len(self.methods)),
            np.clip([drop for _, drop, _ in entries], None, self.most),
            np.array([float(count) for _, _, count in entries]),
        )

    def _kinds_seen(self) -> set[str]:
        recipes = [look.recipe for look in self.looks]
        recipes += [parse(m.recipe_json) for m in self.measured.values()]
        return self._kinds_of(recipes)

    def _kinds_measured(self) -> set[str]:
        return self._kinds_of([parse(m.recipe_json) for m in self.measured.values()])

    def _kinds_of(self, recipes: Sequence[Recipe]) -> set[str]:
        return {
            kind
            for recipe in recipes
            if not needs_training(recipe)
            for kind in self._located_of(recipe).kinds
        }

    def _worth_a_look(self, count: int) -> list[Recipe]:
        if count <= 0:
            return []
        choices = default_treatments(self.subject)
        found = candidates(self._names, choices, self.seed)
        scores = np.array([self._located_of(recipe).score for recipe in found])
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
            located = self._located_of(recipe)
            if not located.others:
                mixtures.append((located.int8, measured.latency_ms))
            elif not located.int8 and len(located.others) == 1:
                share = measured.latency_ms / self.baseline.latency_ms
                self._latency.factors[located.others[0]] = share
        self._latency.learn(mixtures)

    # In the store.

    def _key(self) -> str:
        return f"{_KIND}:" + digest_json(
            {
                "version": _VERSION,
                "model": self.engine.identity,
                "data": self.engine.dataset.fingerprint,
                "samples": self._samples,
                "seed": self.seed,
                "libraries": library_versions(),
            }
        )

    def _save(self) -> None:
        head, numbers = self.table.to_bytes()
        artifact = self.engine.store.artifacts.save(
            _KIND,
            {"table.json": head, "table.bin": numbers},
            {"looks": [look.to_json() for look in self.looks]},
        )
        self.engine.store.cache.put(self._key(), {"artifact": artifact.digest})

    def _restore(self) -> None:
        found = self.engine.store.cache.get(self._key())
        if found is None:
            return
        artifacts = self.engine.store.artifacts
        artifact = artifacts.get(found["artifact"])
        paths = [artifacts.path(artifact, name) for name in ("table.json", "table.bin")]
        if all(path.exists() for path in paths):
            self.table = SensitivityTable.from_bytes(*[path.read_bytes() for path in paths])
            self.looks = [Look.from_json(row) for row in artifact.meta["looks"]]
            for key in dict.fromkeys(key for _, key in self.table.rows):
                if key != COMMON[1]:
                    self._note_ladder(parse(key).steps)
