"""The recipes a search chooses from: per-layer mixtures near the front of the estimates."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from workbench.compression import knapsack
from workbench.compression.effects import graph_steps, shared_key
from workbench.compression.estimator import Estimator
from workbench.compression.latency_table import LatencyTable
from workbench.compression.locate import Located, Locator
from workbench.compression.method import GraphMethod
from workbench.compression.methods import METHODS
from workbench.compression.recipe import EVERY_LAYER, Recipe, Step
from workbench.compression.sensitivity import SensitivityTable
from workbench.compression.subject import Subject
from workbench.compression.treatments import Treatment, default_treatments, key_of
from workbench.core.errors import WorkbenchError

# Levels that the table does not hold from the start, and that make files smaller.
_PACKED = (("cluster", {"entries": 16}), ("quantize_weights", {"bits": 4}))
_THIN = tuple(("low_rank", {"keep": keep}) for keep in (0.85, 0.7, 0.55, 0.4))
_STEPS = 14
_JITTER = 0.4


@dataclass(frozen=True)
class Place:
    """A network whose layers are treated, and the table that knows it.

    Attributes:
        subject: The network.
        names: Of the layers that the table knows.
        table: Of their treatments.
        locate: Finds a recipe in the table; adds what is not there yet.
    """

    subject: Subject
    names: Sequence[str]
    table: SensitivityTable
    locate: Callable[[Recipe], Located]

    @classmethod
    def of(cls, source: Estimator | Locator) -> Place:
        """Returns the place that an estimator or a locator knows."""
        names = [layer.name for layer in source.prober.layers]
        return cls(source.prober.subject, names, source.table, source.locate)


class Candidates:
    """See the module's docstring.

    Args:
        place: Its table is filled; further levels are added when first needed.
        latency: Of the baseline's layers.
        minimize: "size_bytes" or "latency_ms".
        seed: For jitter and swaps.
        treatments: To choose from; by default all that the table holds from the start, and more.
    """

    def __init__(
        self,
        place: Place,
        latency: LatencyTable,
        minimize: str,
        seed: int,
        treatments: Sequence[Treatment] | None = None,
    ) -> None:
        self._place = place
        self._latency = latency
        self._minimize = minimize
        self._rng = np.random.default_rng(seed)
        self.names = list(place.names)
        self.treatments = self._known_treatments() if treatments is None else list(treatments)
        self.choices = [self._choices_of(name) for name in self.names]

    def uniform(self) -> list[Recipe]:
        """Returns each treatment on all layers."""
        return [Recipe(steps=treatment) for treatment in self.treatments]

    def mixed(self, jitter: float = _JITTER) -> list[Recipe]:
        """Returns solutions of the knapsack, with jittered weights; none twice."""
        found: dict[tuple[int, ...], None] = {}
        problem = self._problem()
        for allowed in self._palettes():
            part = problem.restricted(allowed)
            kept = [np.flatnonzero(mask) for mask in allowed]
            for chosen in knapsack.sweep(part, _STEPS, self._rng, jitter):
                whole = (int(k[c]) if c >= 0 else -1 for k, c in zip(kept, chosen, strict=True))
                found[tuple(whole)] = None
        return [self._recipe(chosen) for chosen in found if any(c >= 0 for c in chosen)]

    def swapped(self, recipe: Recipe, count: int) -> list[Recipe]:
        """Returns recipes that differ from one in one or two layers."""
        others = recipe.layers.get(EVERY_LAYER, recipe.steps)
        start = {name: recipe.layers.get(name, others) for name in self.names}
        found = []
        for _ in range(count):
            layers = dict(start)
            for index in self._rng.choice(len(self.names), min(2, len(self.names)), replace=False):
                options = [(), *self.choices[int(index)]]
                layers[self.names[int(index)]] = options[int(self._rng.integers(len(options)))]
            if fits_one_file(layers.values()):
                found.append(self.of_layers(layers))
        return [item for item in found if not item.is_baseline]

    def of_layers(self, layers: dict[str, Treatment]) -> Recipe:
        """Returns the recipe; what most layers get is written once, as that of all others."""
        treated = {name: steps for name, steps in layers.items() if steps}
        if len(treated) < len(self._place.subject.layers):
            return Recipe(layers=treated)
        common, count = Counter(treated.values()).most_common(1)[0]
        if count == len(treated):
            return Recipe(steps=common)
        others = {name: steps for name, steps in treated.items() if steps != common}
        return Recipe(layers={EVERY_LAYER: common, **others})

    def _known_treatments(self) -> list[Treatment]:
        found = default_treatments(self._place.subject)
        for treatment in self._further():
            if treatment in found:
                continue
            recipe = Recipe(layers=dict.fromkeys(self.names, treatment))
            try:
                self._place.locate(recipe)
            except WorkbenchError:
                continue  # it cannot work on this model, as the method's own words would say
            found.append(treatment)
        return found

    def _further(self) -> list[Treatment]:
        if self._minimize != "size_bytes":
            return []
        packed = [step for name, values in _PACKED if (step := self._step(name, values))]
        thin = [step for name, values in _THIN if (step := self._step(name, values))]
        return [(step,) for step in packed] + [(one, step) for one in thin for step in packed[:1]]

    def _step(self, key: str, values: dict[str, Any]) -> Step | None:
        if key not in METHODS:
            return None
        plugin = METHODS.get(key)
        config = plugin.Config.parse(values, what=key)
        is_right = plugin.supports(self._place.subject, config) is None
        return Step(key, config) if is_right else None

    def _choices_of(self, name: str) -> list[Treatment]:
        """Returns the treatments of a layer that none beats in both cost and score."""
        table = self._place.table
        rows = []
        for treatment in self.treatments:
            row = table.rows.get((name, key_of(treatment)))
            if row is not None and self._cost_of(name, treatment, row) < 0:
                cost = self._cost_of(name, treatment, row)
                rows.append((cost, float(table.gram[row, row]), treatment))
        kept: list[Treatment] = []
        for kind in dict.fromkeys(main_of(treatment) for _, _, treatment in rows):
            best = np.inf
            for _, score, treatment in sorted(
                (r for r in rows if main_of(r[2]) == kind), key=lambda r: (r[0], r[1])
            ):
                if score < best:
                    kept.append(treatment)
                    best = score
        return kept

    def _cost_of(self, name: str, treatment: Treatment, row: int) -> float:
        if self._minimize == "size_bytes":
            return float(self._place.table.facts[row].bytes)
        if treatment[-1].plugin.produces != "int8":
            return float(self._place.table.facts[row].macs) * 1e-9
        table = self._latency
        before = table.float_layers.get(name, 0.0)
        return table.int8_layers.get(name, before * 0.8) - before

    def _problem(self) -> knapsack.Problem:
        table = self._place.table
        rows = [
            np.array([table.rows[(name, key_of(t))] for t in options], int)
            for name, options in zip(self.names, self.choices, strict=True)
        ]
        costs = [
            np.array([self._cost_of(name, t, int(r)) for t, r in zip(options, own, strict=True)])
            for name, options, own in zip(self.names, self.choices, rows, strict=True)
        ]
        return knapsack.Problem(rows, costs, np.asarray(table.gram, np.float64))

    def _palettes(self) -> list[list[np.ndarray]]:
        """Returns for each way to edit the whole graph the choices that may live in one file."""
        mains = dict.fromkeys(main_of(t) for options in self.choices for t in options)
        return [
            [
                np.array([main_of(t) in {"", main} for t in options], bool)
                for options in self.choices
            ]
            for main in dict.fromkeys(["", *mains])
        ]

    def _recipe(self, chosen: Sequence[int]) -> Recipe:
        layers = {
            name: options[index]
            for name, options, index in zip(self.names, self.choices, chosen, strict=True)
            if index >= 0
        }
        return self.of_layers(layers)


def main_of(treatment: Treatment) -> str:
    """Returns what edits the whole graph, of which one file has one; empty for local work."""
    whole = [
        step
        for step in graph_steps(treatment)
        if isinstance(step.plugin, GraphMethod) and not step.plugin.is_local
    ]
    return shared_key(tuple(whole))


def fits_one_file(treatments: Iterable[Treatment]) -> bool:
    """Returns whether at most one way to edit the whole graph is among treatments of layers."""
    return len({main_of(treatment) for treatment in treatments} - {""}) <= 1
