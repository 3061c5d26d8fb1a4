"""Finds a recipe in the sensitivity table: its cells, what they add to bytes and MACs."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from workbench.compression.effects import graph_steps, shared_key
from workbench.compression.method import Method, WeightMethod
from workbench.compression.methods import METHODS
from workbench.compression.probing import Prober
from workbench.compression.ranking import Ranking
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
SIZE_MARGIN, MIXED_SIZE_MARGIN = 0.005, 0.03
_NOTHING = 1e-30
_REMEMBERED = 20_000
INT8 = "int8"
Rung = tuple[float, str]


@dataclass(frozen=True)
class Located:
    """A recipe as the table sees it.

    Attributes:
        rows: Of its cells.
        weights: How much of each.
        score: From the Gram matrix.
        place: Share of the weights each method treats, in the order of `Locator.methods`, then how
            deep the change lies, from 0 for the first layer to 1 for the last [methods + 1].
        bytes: Of the file.
        size_margin: Relative error that `bytes` may have.
        macs: A sample.
        kinds: Kinds of treatments.
        int8: Layers in int8.
        others: Further methods that may change the latency.
        is_first: Whether the score is a first answer from gradients.
        is_blind: Whether it changes weights of layers that cannot be probed, as those of an LSTM.
    """

    rows: np.ndarray
    weights: np.ndarray
    score: float
    place: np.ndarray
    bytes: float
    size_margin: float
    macs: float
    kinds: frozenset[str]
    int8: tuple[str, ...]
    others: tuple[str, ...]
    is_first: bool
    is_blind: bool


class Locator:
    """See the module's docstring. What the table does not hold yet is probed.

    Args:
        prober: Runs changed layers.
        table: Of answers that were computed.

    Attributes:
        methods: All there are, in the order of `Located.place`.
        first: Of first answers from gradients.
        ladders: Treatments by amount, of which the table holds every layer, by axis.
        layer_shares: Of all weights, by layer.
        depths: From 0 for the first layer to 1 for the last, by layer.
        ranking: What steps that rank all layers take from each.
    """

    def __init__(self, prober: Prober, table: SensitivityTable) -> None:
        self.prober = prober
        self.table = table
        self.first = SensitivityTable()
        self.methods = tuple(METHODS)
        self.names = [layer.name for layer in prober.layers]
        self.ranking = Ranking(prober.subject)
        last = max(len(self.names) - 1, 1)
        self.depths = {name: index / last for index, name in enumerate(self.names)}
        self._located: dict[tuple[str, bool], Located] = {}
        self.ladders: dict[str, dict[float, Treatment]] = {}
        self._rungs: dict[str, list[Rung]] = {}
        self.layer_shares = self._weight_shares()
        for key in dict.fromkeys(key for _, key in table.rows):
            if key != COMMON[1]:
                self._note_ladder(parse(key).steps)

    def locate(self, recipe: Recipe) -> Located:
        """Returns what the table holds of a recipe; treatments not in it are added."""
        key = (recipe.digest, self._is_first(recipe))
        if key not in self._located:
            if len(self._located) >= _REMEMBERED:
                self._located.clear()
            chosen = treatments_of(recipe, self.prober.subject, self.ranking.shares)
            unseen = {n: steps for n, steps in chosen.items() if n not in self.layer_shares}
            chosen = {n: steps for n, steps in chosen.items() if n in self.layer_shares}
            found = self._look_up(chosen, is_first=key[1] and bool(chosen))
            self._located[key] = self._with_unseen(found, unseen)
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

    def _is_first(self, recipe: Recipe) -> bool:
        """Returns whether gradients answer: before the table is there, where they can."""
        return not (len(self.table) or recipe.is_baseline) and self.prober.can_project

    def _with_unseen(self, found: Located, unseen: Mapping[str, Treatment]) -> Located:
        """Returns the recipe with the bytes of layers that cannot be probed, and a blind eye."""
        added, is_blind = 0, any(map(changes_weights, unseen.values()))
        for treatment in dict.fromkeys(unseen.values()):
            names = tuple(name for name, own in unseen.items() if own == treatment)
            own_bytes = self.prober.plain.bytes_of_unseen(names, graph_steps(treatment))
            added += own_bytes
            is_blind = is_blind or own_bytes != 0
        return replace(found, bytes=found.bytes + added, is_blind=is_blind)

    def _look_up(self, chosen: Mapping[str, Treatment], *, is_first: bool) -> Located:
        table = self.first if is_first else self.table
        cells = self._cells(chosen, is_first=is_first)
        treatments = tuple(dict.fromkeys(chosen.values()))
        facts = [(table.facts[table.rows[cell]], weight) for cell, weight in cells.items()]
        size = self.prober.plain.size + sum(f.bytes * w for f, w in facts)
        shared = set(map(shared_key, treatments))
        size += sum(table.shared_bytes.get(key, 0) for key in shared)
        if COMMON in table and any(map(changes_weights, treatments)):
            cells[COMMON] = 1.0
        rows = np.array([table.rows[cell] for cell in cells], int)
        weights = np.array(list(cells.values()))
        depth = self._depth(table, cells, rows, weights)
        return Located(
            rows=rows,
            weights=weights,
            score=table.score(rows, weights) if len(rows) else _NOTHING,
            place=np.append(self._shares(chosen), depth),
            bytes=size,
            size_margin=_size_margin(treatments),
            macs=self.prober.plain.macs + sum(f.macs * w for f, w in facts),
            kinds=frozenset(map(kind_of, treatments)),
            int8=tuple(n for n, t in chosen.items() if t[-1].plugin.produces == INT8),
            others=_other_methods(treatments),
            is_first=is_first,
            is_blind=False,
        )

    def _cells(self, chosen: Mapping[str, Treatment], *, is_first: bool) -> dict[Cell, float]:
        """Returns the cells that make up a recipe, and how much of each."""
        parts = {n: self._parts(n, t, is_first=is_first) for n, t in chosen.items()}
        missing = {name: chosen[name] for name, found in parts.items() if found is None}
        if missing:
            self.add(missing, projected=is_first)
        table = self.first if is_first else self.table
        cells: dict[Cell, float] = {}
        for name, treatment in chosen.items():
            for key, weight in parts[name] or [(key_of(treatment), 1.0)]:
                if (name, key) in table:
                    cells[name, key] = cells.get((name, key), 0.0) + weight
        return cells

    def _parts(
        self, name: str, treatment: Treatment, *, is_first: bool
    ) -> list[tuple[str, float]] | None:
        """Returns what in the table makes up a treatment, and how much of each; None if nothing."""
        key = key_of(treatment)
        if (name, key) in (self.first if is_first else self.table):
            return [(key, 1.0)]
        return None if is_first else self._between(name, treatment)

    def _between(self, name: str, treatment: Treatment) -> list[tuple[str, float]] | None:
        """Returns the two neighbours on the axis of a treatment, if they are close enough.

        Beyond the last, where hardly a weight is left, the last stands for it.
        """
        axis = axis_of(treatment)
        if axis is None:
            return None
        standard, rest, amount = axis
        rungs = self._rungs.get(key_of(standard), [])
        place = bisect_right(rungs, amount, key=_amount_of)
        below = rungs[place - 1] if place else None
        above = rungs[place] if place < len(rungs) else None
        if below is None and above and (not rest or (name, key_of(rest)) in self.table):
            below = (0.0, key_of(rest))
        if below and above is None and below[0] >= NEARLY_ALL:
            return [(below[1], 1.0)]
        if below is None or above is None or above[0] - below[0] > CLOSE:
            return None
        share = (amount - below[0]) / (above[0] - below[0])
        return [(below[1], 1 - share), (above[1], share)]

    def _note_ladder(self, treatment: Treatment) -> None:
        axis = axis_of(treatment)
        complete = all((name, key_of(treatment)) in self.table for name in self.names)
        if axis is not None and complete:
            key = key_of(axis[0])
            ladder = self.ladders.setdefault(key, {})
            ladder[axis[2]] = treatment
            self._rungs[key] = [(amount, key_of(ladder[amount])) for amount in sorted(ladder)]

    def _weight_shares(self) -> dict[str, float]:
        base = self.prober.plain.base
        sizes = {layer.name: base[layer.initializer].size for layer in self.prober.layers}
        total = sum(sizes.values())
        return {name: size / total for name, size in sizes.items()}

    def _depth(
        self,
        table: SensitivityTable,
        cells: Mapping[Cell, float],
        rows: np.ndarray,
        weights: np.ndarray,
    ) -> float:
        """Returns the mean depth of the layers, each as far as it moves the answers alone."""
        lengths = weights * np.sqrt(np.maximum(table.gram[rows, rows], 0.0))
        depths = np.array([self.depths.get(name, 0.0) for name, _ in cells])
        total = float(lengths[rows != table.rows.get(COMMON)].sum())
        return float(lengths @ depths) / total if total > 0 else 0.0

    def _shares(self, chosen: Mapping[str, Treatment]) -> np.ndarray:
        found: dict[str, float] = {}
        for name, treatment in chosen.items():
            for step in treatment:
                found[step.method] = found.get(step.method, 0.0) + self.layer_shares[name]
        return np.array([found.get(method, 0.0) for method in self.methods])


def _amount_of(rung: Rung) -> float:
    return rung[0]


def may_change_latency(method: Method) -> bool:
    """Returns whether a method, besides those that give int8, may change the latency."""
    return not isinstance(method, WeightMethod) and method.produces != INT8


def _size_margin(treatments: Sequence[Treatment]) -> float:
    """Returns how far the sum over the layers may be off; edits of one layer can interact."""
    if not treatments:
        return 0.0
    is_mixed = any(len(graph_steps(treatment)) > 1 for treatment in treatments)
    return MIXED_SIZE_MARGIN if is_mixed else SIZE_MARGIN


def _other_methods(treatments: Sequence[Treatment]) -> tuple[str, ...]:
    steps = [step for treatment in treatments for step in treatment]
    return tuple(dict.fromkeys(s.method for s in steps if may_change_latency(s.plugin)))
