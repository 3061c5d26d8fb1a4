"""Finds a recipe in the sensitivity table: its cells, what they add to bytes and MACs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from workbench.compression.effects import shared_key
from workbench.compression.method import Method, WeightMethod
from workbench.compression.methods import METHODS
from workbench.compression.probing import Prober
from workbench.compression.recipe import Recipe, parse
from workbench.compression.sensitivity import COMMON, Cell, SensitivityTable
from workbench.compression.treatments import (
    Treatment,
    axis_of,
    changes_weights,
    key_of,
    kind_of,
    treatments_of,
)

CLOSE, NEARLY_ALL = 0.35, 0.95
_NOTHING = 1e-30
INT8 = "int8"


@dataclass(frozen=True)
class Located:
    """A recipe as the table sees it.

    Attributes:
        rows: Of its cells.
        weights: How much of each.
        score: From the Gram matrix.
        shares: Of the weights each method treats, in the order of `Locator.methods`.
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


class Locator:
    """See the module's docstring. What the table does not hold yet is probed.

    Args:
        prober: Runs changed layers.
        table: Of answers that were computed.

    Attributes:
        methods: All there are, in the order of `Located.shares`.
        first: Of first answers from gradients.
        ladders: Treatments by amount, of which the table holds every layer, by axis.
        layer_shares: Of all weights, by layer.
    """

    def __init__(self, prober: Prober, table: SensitivityTable) -> None:
        self.prober = prober
        self.table = table
        self.first = SensitivityTable()
        self.methods = tuple(METHODS)
        self.names = [layer.name for layer in prober.layers]
        self._located: dict[tuple[str, bool], Located] = {}
        self.ladders: dict[str, dict[float, Treatment]] = {}
        self.layer_shares = self._weight_shares()
        for key in dict.fromkeys(key for _, key in table.rows):
            if key != COMMON[1]:
                self._note_ladder(parse(key).steps)

    def locate(self, recipe: Recipe) -> Located:
        """Returns what the table holds of a recipe; treatments not in it are added."""
        chosen = treatments_of(recipe, self.prober.subject)
        chosen = {name: steps for name, steps in chosen.items() if name in self.layer_shares}
        key = (recipe.digest, self._is_first(chosen))
        if key not in self._located:
            self._located[key] = self._look_up(chosen, is_first=key[1])
        return self._located[key]

    def add(self, chosen: Mapping[str, Treatment], *, projected: bool = False) -> None:
        """Adds a cell for each of these layers with its treatment.

        Args:
            chosen: Treatments by layer.
            projected: To the first answers, from gradients.
        """
        self.prober.add(self.first if projected else self.table, chosen, projected=projected)
        if not projected:
            self._located.clear()
            for treatment in set(chosen.values()):
                self._note_ladder(treatment)

    def _is_first(self, chosen: Mapping[str, Treatment]) -> bool:
        """Returns whether gradients answer: before the table is there, where they can."""
        if len(self.table) > 0 or not self.prober.can_project:
            return False
        return bool(chosen)

    def _look_up(self, chosen: Mapping[str, Treatment], *, is_first: bool) -> Located:
        table = self.first if is_first else self.table
        cells = self._cells(chosen, is_first=is_first)
        facts = [(table.facts[table.rows[cell]], weight) for cell, weight in cells.items()]
        size = self.prober.plain.size + sum(f.bytes * w for f, w in facts)
        shared = {shared_key(treatment) for treatment in chosen.values()}
        size += sum(table.shared_bytes.get(key, 0) for key in shared)
        if COMMON in table and any(changes_weights(t) for t in chosen.values()):
            cells[COMMON] = 1.0
        rows = np.array([table.rows[cell] for cell in cells], int)
        weights = np.array(list(cells.values()))
        return Located(
            rows=rows,
            weights=weights,
            score=table.score(rows, weights) if len(rows) else _NOTHING,
            shares=self._shares(chosen),
            bytes=size,
            macs=self.prober.plain.macs + sum(f.macs * w for f, w in facts),
            kinds=frozenset(map(kind_of, chosen.values())),
            int8=tuple(n for n, t in chosen.items() if t[-1].plugin.produces == INT8),
            others=_other_methods(chosen),
            is_first=is_first,
        )

    def _cells(self, chosen: Mapping[str, Treatment], *, is_first: bool) -> dict[Cell, float]:
        """Returns the cells that make up a recipe, and how much of each."""
        parts = {n: self._parts(n, t, is_first=is_first) for n, t in chosen.items()}
        missing = {name: chosen[name] for name, found in parts.items() if found is None}
        if missing:
            self.add(missing, projected=is_first)
        cells: dict[Cell, float] = {}
        for name, treatment in chosen.items():
            for part, weight in parts[name] or [(treatment, 1.0)]:
                if part:
                    cell = (name, key_of(part))
                    cells[cell] = cells.get(cell, 0.0) + weight
        table = self.first if is_first else self.table
        return {cell: weight for cell, weight in cells.items() if cell in table}

    def _parts(
        self, name: str, treatment: Treatment, *, is_first: bool
    ) -> list[tuple[Treatment, float]] | None:
        """Returns what in the table makes up a treatment, and how much of each; None if nothing."""
        if (name, key_of(treatment)) in (self.first if is_first else self.table):
            return [(treatment, 1.0)]
        return None if is_first else self._between(name, treatment)

    def _between(self, name: str, treatment: Treatment) -> list[tuple[Treatment, float]] | None:
        """Returns the two neighbours on the axis of a treatment, if they are close enough.

        Beyond the last, where hardly a weight is left, the last stands for it.
        """
        axis = axis_of(treatment)
        if axis is None:
            return None
        standard, rest, amount = axis
        known = sorted(self.ladders.get(key_of(standard), {}).items())
        below = [item for item in known if item[0] <= amount]
        above = [item for item in known if item[0] > amount]
        is_rest_known = not rest or (name, key_of(rest)) in self.table
        if not below and known and amount < known[0][0] and is_rest_known:
            below = [(0.0, rest)]
        if below and not above and below[-1][0] >= NEARLY_ALL:
            return [(below[-1][1], 1.0)]
        if not below or not above or above[0][0] - below[-1][0] > CLOSE:
            return None
        (low, first), (high, second) = below[-1], above[0]
        share = (amount - low) / (high - low)
        return [(first, 1 - share), (second, share)]

    def _note_ladder(self, treatment: Treatment) -> None:
        axis = axis_of(treatment)
        complete = all((name, key_of(treatment)) in self.table for name in self.names)
        if axis is not None and complete:
            self.ladders.setdefault(key_of(axis[0]), {})[axis[2]] = treatment

    def _weight_shares(self) -> dict[str, float]:
        base = self.prober.plain.base
        sizes = {layer.name: base[layer.initializer].size for layer in self.prober.layers}
        total = sum(sizes.values())
        return {name: size / total for name, size in sizes.items()}

    def _shares(self, chosen: Mapping[str, Treatment]) -> np.ndarray:
        found: dict[str, float] = {}
        for name, treatment in chosen.items():
            for step in treatment:
                found[step.method] = found.get(step.method, 0.0) + self.layer_shares[name]
        return np.array([found.get(method, 0.0) for method in self.methods])


def may_change_latency(method: Method) -> bool:
    """Returns whether a method, besides those that give int8, may change the latency."""
    return not isinstance(method, WeightMethod) and method.produces != INT8


def _other_methods(chosen: Mapping[str, Treatment]) -> tuple[str, ...]:
    steps = [step for treatment in chosen.values() for step in treatment]
    return tuple(dict.fromkeys(s.method for s in steps if may_change_latency(s.plugin)))
