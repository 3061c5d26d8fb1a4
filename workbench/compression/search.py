"""Which recipe to measure next, so that the front near the limit grows fastest.

A knapsack over the sensitivity table proposes per-layer mixtures. Networks with channels removed
are judged by those measured before, as long as they do not exist; once one does, it has a table
and mixtures of its own. What promises the largest gain is measured (`expected_gain`), and each
measurement re-anchors the estimates. Nothing is measured here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from workbench.compression.candidates import Candidates, Place, main_of
from workbench.compression.estimator import Estimator
from workbench.compression.expected_gain import Predicted, front_gains, goal_gains
from workbench.compression.goal import Goal, drop_of
from workbench.compression.locate import Located
from workbench.compression.measured import Measured
from workbench.compression.network_table import NetworkTable
from workbench.compression.recipe import Recipe, Step, parse
from workbench.compression.restructuring import (
    Structure,
    split_structure,
    structure_of,
    structures_of,
    with_structure,
)
from workbench.compression.score_map import squash
from workbench.compression.structure_ladder import Ladder, Rung, latency_share
from workbench.compression.treatments import Treatment, needs_training
from workbench.core.errors import WorkbenchError
from workbench.store import Context, NullContext

_SPREAD = (0.25, 0.5, 1.0, 1.8)
_FIRST_WITH_STRUCTURES = 1
_SWAP_EVERY, _SWAPS = 10, 24
_TAILS = (0.02, 0.05, 0.1, 0.2, 0.4)
_NORMAL = 1.645
_REACH = 1.5
_LEAST_GAIN, _REFILLS = 2e-5, 6
_KIN, _LEAST_SPREAD = 0.3, 1e-3
_STRANGER = 2.0
_COARSE_FIRST = 3
_THRIFT = 0.25
_JITTERS = (0.0, 0.3, 0.7)
_SIZE = "size_bytes"

Price = Callable[[Step | None], float]


@dataclass(frozen=True)
class Candidate:
    """A recipe that may be measured.

    Attributes:
        recipe: What to measure.
        rest: What of it follows the structural step.
        structure: The structural step; None without one.
    """

    recipe: Recipe
    rest: Recipe
    structure: Structure | None = None


@dataclass(frozen=True)
class _Tried:
    """What a restructured network lost with a treatment; without a cost if it was given up."""

    structure: Structure
    rest: Recipe
    drop: float
    cost: float | None = None


class Search:
    """See the module's docstring.

    Args:
        estimator: The study's estimator.
        goal: What is to be reached.
        seed: For jitter, turns and swaps.
        only_front: Whether to grow the whole front, not only what lies near the limit.
        corner: Largest cost and drop (points) that count; by default from the goal.
        restructures: Whether recipes that change the structure are among the candidates.
    """

    def __init__(
        self,
        estimator: Estimator,
        goal: Goal,
        *,
        seed: int = 0,
        only_front: bool = False,
        corner: tuple[float, float] | None = None,
        restructures: bool = True,
    ) -> None:
        self._estimator = estimator
        self._goal = goal
        self._seed = seed
        self._gains = front_gains if only_front else goal_gains
        base = estimator.baseline
        self._corner = corner or (goal.cost(base), 100 * goal.max_drop * _REACH + 1e-6)
        self._restructures = restructures
        self._measured: dict[str, Measured] = {base.recipe: base}
        self._gone: set[str] = {str(Recipe())}
        self._pool: dict[str, Candidate] = {}
        self._structures: dict[str, Structure] = {}
        self._tried: list[_Tried] = []
        self._networks: dict[str, NetworkTable | None] = {}
        self._kept: dict[str, float | None] = {}
        self._proposed = 0
        self._candidates: Candidates | None = None
        self._refills = 0

    def prepare(self, context: Context | None = None, looks: int = 12) -> None:
        """Fills the estimator's table and the pool of candidates.

        Args:
            context: Progress and stop.
            looks: Quick looks to take, if the estimator has not taken them yet.
        """
        work = context or NullContext(self._estimator.engine.store.home.scratch)
        if not self._estimator.is_refined:
            self._estimator.refine(work, looks)
        place = Place.of(self._estimator)
        self._candidates = Candidates(
            place, self._estimator.latency, self._goal.minimize, self._seed
        )
        for recipe in self._candidates.uniform():
            self._add(recipe)
        for jitter in _JITTERS:
            work.check()
            for recipe in self._candidates.mixed(jitter):
                work.check()
                self._add(recipe)
        self._add_structures()

    def tell(self, measured: Measured) -> None:
        """Learns from a measurement in full."""
        if measured.recipe in self._measured:
            return
        self._measured[measured.recipe] = measured
        self._gone.add(measured.recipe)
        recipe = parse(measured.recipe_json)
        step, rest = split_structure(recipe)
        if step is not None:
            cost = self._goal.cost(measured)
            self._learn(step, rest, 100 * drop_of(measured), cost)
        elif not needs_training(recipe):
            self._estimator.observe(measured)

    def refuse(self, recipe: Recipe, drop: float = 0.0) -> None:
        """Learns that a recipe cannot work, or loses too much (`drop`, in the metric's units)."""
        self._gone.add(str(recipe))
        step, rest = split_structure(recipe)
        if step is not None and drop > 0:  # refused by its loss, not as impossible
            self._learn(step, rest, 100 * drop)

    def propose(self, price: Price | None = None) -> Recipe | None:
        """Returns what to measure next; None if nothing promises a gain any more.

        Args:
            price: Gives the expected seconds of a measurement after a structural step (or None);
                infinity for what is not to be proposed. By default all are alike.
        """
        self._proposed += 1
        if self._proposed % _SWAP_EVERY == 0:
            self._add_swaps()
        self._open_network()
        prices = _Prices(price)
        known = self._files()
        pool = [
            item
            for key, item in self._pool.items()
            if key not in self._gone
            and math.isfinite(prices.of(item.structure))
            and self._file(item.structure, item.rest) not in known
        ]
        if not pool:
            return None
        predicted = self._predicted(pool)
        index = self._spread_point(pool, predicted)
        if index is not None:
            return pool[index].recipe
        gains = self._gains(predicted, list(self._measured.values()), self._goal, self._corner)
        worth = gains / np.array([prices.of(item.structure) for item in pool]) ** _THRIFT
        if gains.max() < _LEAST_GAIN:
            return self._refilled(price)
        return pool[int(worth.argmax())].recipe

    def best(self) -> Measured:
        """Returns the best measured variant within the limits, else the nearest to them."""
        return self._goal.best(self._measured.values())

    def front(self) -> list[Measured]:
        """Returns the measured variants that none beats in cost and drop."""
        kept: list[Measured] = []
        for item in sorted(self._measured.values(), key=lambda m: (self._goal.cost(m), drop_of(m))):
            if not kept or drop_of(item) < drop_of(kept[-1]):
                kept.append(item)
        return kept

    # What is expected.

    def _predicted(self, pool: list[Candidate]) -> Predicted:
        ladder = self._ladder()
        rows = [self._row(item, ladder) for item in pool]
        found = np.array(rows)
        return Predicted(found[:, 0], found[:, 1], found[:, 2])

    def _row(self, item: Candidate, ladder: Ladder) -> tuple[float, float, float]:
        """Returns expected cost, and center and spread of the drop on the scale of asinh."""
        located = self._located(item.structure, item.rest)
        value, low, high = self._estimator.drop(located)
        spread = float(squash(high) - squash(low)) / 2 / _NORMAL
        cost = self._cost(item.structure, located)
        if item.structure is None:
            return cost, float(squash(value)), max(spread, _LEAST_SPREAD)
        lost, own = ladder.drop(item.structure)
        value *= 1.0 if self._network(item.structure) else _STRANGER
        center = float(squash(value + lost))
        cost *= ladder.ratio(item.structure)
        return cost, center, max(math.hypot(_KIN * spread, own), _LEAST_SPREAD)

    def _ladder(self) -> Ladder:
        rungs = []
        for item in self._tried:
            located = self._located(item.structure, item.rest)
            ratio = 1.0 if item.cost is None else item.cost / self._cost(item.structure, located)
            drop = item.drop - self._estimator.drop(located)[0]
            rungs.append(Rung(item.structure, drop, ratio))
        return Ladder(rungs)

    def _files(self) -> set[tuple[str, int, float]]:
        """Returns what tells the files apart that were measured, as far as the table knows."""
        found = {self._file(item.structure, item.rest) for item in self._tried}
        for measured in self._measured.values():
            recipe = parse(measured.recipe_json)
            if not needs_training(recipe):
                found.add(self._file(None, recipe))
        return found

    def _file(self, structure: Structure | None, rest: Recipe) -> tuple[str, int, float]:
        """Returns the same for recipes that write one file: a method may leave small layers."""
        located = self._located(structure, rest)
        score = float(f"{located.score:.3g}")
        return "" if structure is None else structure.key, round(located.bytes), score

    def _located(self, structure: Structure | None, rest: Recipe) -> Located:
        network = self._network(structure)
        return (network or self._estimator).locate(rest)

    def _network(self, structure: Structure | None) -> NetworkTable | None:
        return None if structure is None else self._networks.get(structure.key)

    def _cost(self, structure: Structure | None, located: Located) -> float:
        """Returns the expected cost; what a network measured before says of it is left to it."""
        if self._goal.minimize != _SIZE:
            value = self._estimator.latency.of(located.int8, located.others).value
            return value if structure is None else value * latency_share(structure)
        if structure is None or self._network(structure):
            return located.bytes
        plain = self._estimator.prober.plain
        fixed = plain.size - sum(value.nbytes for value in plain.base.values())
        return fixed + structure.kept * (located.bytes - fixed)

    def _spread_point(self, pool: list[Candidate], predicted: Predicted) -> int | None:
        """Returns the next of the first points: the cheapest expected at a given drop."""
        turn = len(self._measured) - 1  # the baseline is one of them
        is_structural = np.array([item.structure is not None for item in pool])
        plan = _SPREAD[:_FIRST_WITH_STRUCTURES] if is_structural.any() else _SPREAD
        if turn >= len(plan):
            return None
        limit = float(squash(self._corner[1] / _REACH * plan[turn]))
        allowed = ~is_structural & (predicted.centers <= limit)
        return int(np.where(allowed, predicted.costs, np.inf).argmin()) if allowed.any() else None

    # The pool.

    def _learn(self, step: Step, rest: Recipe, drop: float, cost: float | None = None) -> None:
        key = str(step)
        if key not in self._structures:
            self._structures[key] = structure_of(step, self._estimator.subject)
        self._tried.append(_Tried(self._structures[key], rest, drop, cost))

    def _open_network(self) -> None:
        """Gives the network that was trained last a table, and its mixtures a place in the pool."""
        waiting = [t.structure for t in self._tried if t.structure.key not in self._networks]
        if not waiting or self._candidates is None:
            return
        structure = waiting[-1]
        treatments = list(
            dict.fromkeys(t for own in self._candidates.choices for t in own if self._is_quick(t))
        )
        try:
            network = NetworkTable(
                self._estimator, structure, treatments, self._goal.minimize, self._seed
            )
        except WorkbenchError:
            self._networks[structure.key] = None
            return
        self._networks[structure.key] = network
        for jitter in _JITTERS[:-1]:
            for recipe in network.candidates.mixed(jitter):
                self._add(recipe, structure)
        if len(self._networks) == _COARSE_FIRST:
            self._add_structures()

    def _is_quick(self, treatment: Treatment) -> bool:
        """Returns whether it needs no calibration of each network, which seldom pays for bytes."""
        return self._goal.minimize != _SIZE or not main_of(treatment)

    def _add(self, rest: Recipe, structure: Structure | None = None) -> None:
        try:
            self._located(structure, rest)
        except WorkbenchError:
            return
        whole = rest if structure is None else with_structure(rest, structure.step)
        self._pool.setdefault(str(whole), Candidate(whole, rest, structure))

    def _add_structures(self) -> None:
        """Adds each structural step, followed by what looks best without it.

        That is one step for all layers: mixtures of the whole network, and ranks, fit no other.
        """
        if not self._restructures:
            return
        pool = [item for item in self._pool.values() if _is_plain(item)]
        if not pool:
            return
        predicted = self._predicted(pool)
        tails: dict[int, None] = {}
        for limit in squash(self._corner[1] * np.array(_TAILS)):
            allowed = np.where(predicted.centers <= limit, predicted.costs, np.inf)
            if np.isfinite(allowed.min()):
                tails[int(allowed.argmin())] = None
        fine = len(self._networks) >= _COARSE_FIRST
        for structure in structures_of(self._estimator.subject, fine=fine, known=self._kept):
            self._structures.setdefault(structure.key, structure)
            for index in tails:
                self._add(pool[index].rest, self._structures[structure.key])

    def _add_swaps(self) -> None:
        for measured in self.front():
            step, rest = split_structure(parse(measured.recipe_json))
            structure = None if step is None else self._structures.get(str(step))
            network = self._network(structure)
            source = self._candidates
            if structure is not None:
                source = None if network is None else network.candidates
            if source is None or rest.is_baseline or needs_training(rest):
                continue
            for recipe in source.swapped(rest, _SWAPS):
                self._add(recipe, structure)

    def _refilled(self, price: Price | None) -> Recipe | None:
        """Adds candidates further off, and proposes one of them if it promises a gain."""
        if self._candidates is None or self._refills >= _REFILLS:
            return None
        self._refills += 1
        for recipe in self._candidates.mixed(_JITTERS[-1]):
            self._add(recipe)
        self._add_swaps()
        self._add_structures()
        return self.propose(price)


class _Prices:
    """Asks once for the price of each network."""

    def __init__(self, price: Price | None) -> None:
        self._price = price
        self._known: dict[str, float] = {}

    def of(self, structure: Structure | None) -> float:
        """Returns the price of a measurement of it."""
        if self._price is None:
            return 1.0
        key = "" if structure is None else structure.key
        if key not in self._known:
            self._known[key] = self._price(None if structure is None else structure.step)
        return self._known[key]


def _is_plain(item: Candidate) -> bool:
    return item.structure is None and len(item.rest.steps) == 1


def known_first(variants: Iterable[Measured]) -> list[Measured]:
    """Returns variants so that those without structural changes come first, as they anchor."""
    return sorted(variants, key=lambda m: split_structure(parse(m.recipe_json))[0] is not None)
