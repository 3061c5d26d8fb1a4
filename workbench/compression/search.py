"""Which recipe to measure next, so that the front near the limit grows fastest.

A knapsack over the sensitivity table proposes per-layer mixtures; recipes that remove channels are
judged by those measured before. First come a few points spread over the drops that matter, then
what promises the largest gain: expected improvement of the best variant within the limits (Mockus
1978; with constraints Gardner et al. 2014, "Bayesian optimization with inequality constraints"),
and expected hypervolume gain (Emmerich et al. 2006). Each measurement re-anchors the estimates.
Nothing is measured here.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass

import numpy as np

from workbench.compression.candidates import Candidates
from workbench.compression.estimator import Estimator
from workbench.compression.goal import Goal, drop_of
from workbench.compression.hypervolume import Front, samples_of
from workbench.compression.locate import Located
from workbench.compression.measured import Measured
from workbench.compression.method import StructureMethod
from workbench.compression.methods import METHODS
from workbench.compression.recipe import EVERY_LAYER, Recipe, Step, parse
from workbench.compression.score_map import squash
from workbench.compression.structure_ladder import Ladder, Rung
from workbench.core.errors import WorkbenchError
from workbench.store import Context, NullContext

_AMOUNT = "amount"
_AMOUNTS = tuple(round(0.05 * step, 2) for step in range(3, 17))
_FIRST_AMOUNT = 0.5
_SPREAD = (0.25, 0.5, 1.0, 1.8)
_SWAP_EVERY, _SWAPS = 10, 24
_TAILS = 10
_NORMAL = 1.645
_REACH = 1.5
_FRONT_WEIGHT = 0.3
_HALF = 0.5
_LEAST_GAIN, _REFILLS = 2e-4, 3
_KIN, _NOTICEABLE = 0.3, 0.01
_JITTERS = (0.0, 0.3, 0.7)


@dataclass(frozen=True)
class Candidate:
    """A recipe that may be measured.

    Attributes:
        recipe: What to measure.
        located: The part of it that the table knows.
        structure: Amount of channels removed first; 0 for none.
    """

    recipe: Recipe
    located: Located
    structure: float = 0.0


class Search:
    """See the module's docstring.

    Args:
        estimator: The study's estimator.
        goal: What is to be reached.
        seed: For jitter, turns and swaps.
        only_front: Whether to grow the whole front, not only what lies near the limit.
        corner: Largest cost and drop (points) that count; by default from the goal.
    """

    def __init__(
        self,
        estimator: Estimator,
        goal: Goal,
        *,
        seed: int = 0,
        only_front: bool = False,
        corner: tuple[float, float] | None = None,
    ) -> None:
        self._estimator = estimator
        self._goal = goal
        self._seed = seed
        self._only_front = only_front
        base = estimator.baseline
        self._corner = corner or (goal.cost(base), 100 * goal.max_drop * _REACH + 1e-6)
        self._measured: dict[str, Measured] = {base.recipe: base}
        self._gone: set[str] = {str(Recipe())}
        self._pool: dict[str, Candidate] = {}
        self._rungs: list[Rung] = []
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
        self._candidates = Candidates(self._estimator, self._goal.minimize, self._seed)
        for recipe in self._candidates.uniform():
            self._add(recipe)
        work.check()
        for jitter in _JITTERS:
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
        structure, rest = split_structure(recipe)
        if structure is None:
            self._estimator.observe(measured)
        elif structure:
            self._learn_rung(structure, rest, measured)

    def refuse(self, recipe: Recipe, drop: float = 0.0) -> None:
        """Learns that a recipe cannot work, or loses too much (`drop`, in the metric's units)."""
        self._gone.add(str(recipe))
        structure, rest = split_structure(recipe)
        if structure and drop > 0:  # refused by its loss, not as impossible
            located = self._estimator.locate(rest)
            alone = 100 * drop - self._estimator.drop(located)[0]
            self._rungs.append(Rung(structure, math.log(self._ladder.shrink(structure)), alone))

    def propose(self, structures: Collection[float] | None = None) -> Recipe | None:
        """Returns what to measure next; None if nothing promises a gain any more.

        Args:
            structures: Amounts of channels removed that are allowed, since their networks are
                there already; None allows all.
        """
        self._proposed += 1
        if self._proposed % _SWAP_EVERY == 0:
            self._add_swaps()
        pool = [
            item
            for key, item in self._pool.items()
            if key not in self._gone
            and (structures is None or not item.structure or item.structure in structures)
        ]
        if not pool:
            return None
        costs, centers, spreads = self._predicted(pool)
        index = self._spread_point(pool, costs, centers)
        if index is None:
            gains = self._gains(costs, centers, spreads)
            index = int(gains.argmax())
            if gains[index] < _LEAST_GAIN:
                return self._refilled(structures)
        return pool[index].recipe

    def _refilled(self, structures: Collection[float] | None) -> Recipe | None:
        """Adds candidates further off, and proposes one of them if it promises a gain."""
        if self._candidates is None or self._refills >= _REFILLS:
            return None
        self._refills += 1
        for recipe in self._candidates.mixed(_JITTERS[-1]):
            self._add(recipe)
        self._add_swaps()
        self._add_structures()
        return self.propose(structures)

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

    @property
    def _ladder(self) -> Ladder:
        return Ladder(self._rungs)

    def _predicted(self, pool: list[Candidate]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Returns expected costs, and centers and spreads of the drops on the scale of asinh."""
        ladder = self._ladder
        rows = []
        for item in pool:
            value, low, high = self._estimator.drop(item.located)
            center = float(squash(value))
            spread = float(squash(high) - squash(low)) / 2 / _NORMAL
            cost = self._cost(item, ladder)
            if item.structure:
                lost, own = ladder.drop(item.structure)
                center, spread = float(squash(value + lost)), math.hypot(_KIN * spread, own)
            rows.append((cost, center, max(spread, 1e-3)))
        found = np.array(rows)
        return found[:, 0], found[:, 1], found[:, 2]

    def _cost(self, item: Candidate, ladder: Ladder) -> float:
        located = item.located
        if self._goal.minimize == "size_bytes":
            size = located.bytes
            return size * ladder.shrink(item.structure) if item.structure else size
        value = self._estimator.latency.of(located.int8, located.others).value
        return value * (1 - item.structure) ** 0.7 if item.structure else value

    def _gains(self, costs: np.ndarray, centers: np.ndarray, spreads: np.ndarray) -> np.ndarray:
        points, weights = samples_of(centers, spreads)
        drops = 0.5 * np.sinh(points)
        own = list(self._measured.values())
        front = Front(
            np.array([self._goal.cost(m) for m in own]),
            np.array([100 * drop_of(m) for m in own]),
            self._corner,
        )
        gains = front.gain(costs, drops) @ weights / (self._corner[0] * self._corner[1])
        if self._only_front:
            return np.asarray(gains)
        limit = float(squash(100 * self._goal.max_drop))
        chance = np.array(
            [_normal_cdf((limit - c) / s) for c, s in zip(centers, spreads, strict=True)]
        )
        best = self._goal.cost(self.best()) if not self._goal.excess(self.best()) else np.inf
        least = (1 - _NOTICEABLE) * min(best, self._corner[0])
        better = np.maximum(0.0, least - costs) / self._corner[0]
        return np.asarray(better * chance + _FRONT_WEIGHT * gains)

    def _spread_point(
        self, pool: list[Candidate], costs: np.ndarray, centers: np.ndarray
    ) -> int | None:
        """Returns the next of the first points: the cheapest expected at a given drop."""
        turn = len(self._measured) - 1  # the baseline is one of them
        has_structures = any(item.structure for item in pool)
        plan: list[float | None] = [_SPREAD[0], None] if has_structures else [*_SPREAD]
        if turn >= len(plan):
            return None
        wanted = plan[turn]
        is_structural = np.array([item.structure > 0 for item in pool])
        if wanted is None:
            right = np.array([item.structure == _FIRST_AMOUNT for item in pool])
            mild = centers <= np.median(centers[right]) if right.any() else right
            allowed = right & mild
        else:
            limit = float(squash(self._corner[1] / _REACH * wanted))
            allowed = ~is_structural & (centers <= limit)
        if not allowed.any():
            return None
        return int(np.where(allowed, costs, np.inf).argmin())

    # The pool.

    def _add(self, recipe: Recipe, structure: float = 0.0, step: Step | None = None) -> None:
        try:
            located = self._estimator.locate(recipe)
        except WorkbenchError:
            return
        whole = recipe if step is None else with_structure(recipe, step)
        self._pool.setdefault(str(whole), Candidate(whole, located, structure))

    def _add_structures(self) -> None:
        """Adds each amount of channels removed, followed by what looks best without it."""
        steps = [step for amount in _AMOUNTS for step in self._structural(amount)]
        if not steps:
            return
        pool = [item for item in self._pool.values() if not item.structure]
        costs, centers, _ = self._predicted(pool)
        tails: dict[int, None] = {}
        for limit in squash(self._corner[1] * np.linspace(0.02, 1.0, _TAILS)):
            allowed = np.where(centers <= limit, costs, np.inf)
            if np.isfinite(allowed.min()):
                tails[int(allowed.argmin())] = None
        for index in tails:
            for step in steps:
                self._add(pool[index].recipe, float(getattr(step.config, _AMOUNT)), step)

    def _structural(self, amount: float) -> list[Step]:
        found = []
        for key in METHODS:
            plugin = METHODS.get(key)
            if not isinstance(plugin, StructureMethod) or _AMOUNT not in plugin.Config.model_fields:
                continue
            config = plugin.Config.parse({_AMOUNT: amount}, what=key)
            if plugin.supports(self._estimator.subject, config) is None:
                found.append(Step(key, config))
        return found

    def _add_swaps(self) -> None:
        if self._candidates is None:
            return
        for measured in self.front():
            structure, rest = split_structure(parse(measured.recipe_json))
            if measured.is_baseline or rest.is_baseline:
                continue
            step = _step_of(parse(measured.recipe_json)) if structure else None
            for recipe in self._candidates.swapped(rest, _SWAPS):
                self._add(recipe, structure or 0.0, step)

    def _learn_rung(self, amount: float, rest: Recipe, measured: Measured) -> None:
        located = self._estimator.locate(rest)
        self._rungs.append(
            Rung(
                amount,
                math.log(measured.size_bytes / located.bytes),
                100 * drop_of(measured) - self._estimator.drop(located)[0],
            )
        )


def split_structure(recipe: Recipe) -> tuple[float | None, Recipe]:
    """Returns the amount that a recipe's one structural step removes, and the rest of it.

    The amount is None without such a step, and 0 where the rest cannot be told apart.
    """
    steps = [s for s in recipe.all_steps() if s.plugin.stage == "structure"]
    if not steps:
        return None, recipe
    amount = getattr(steps[0].config, _AMOUNT, 0.0)
    if len(steps) > 1 or not amount:
        return 0.0, recipe
    if not recipe.layers:
        return float(amount), Recipe(steps=tuple(s for s in recipe.steps if s != steps[0]))
    if not all(steps[0] in own for own in recipe.layers.values()) or (
        EVERY_LAYER not in recipe.layers
    ):
        return 0.0, recipe
    rest = {n: tuple(s for s in own if s != steps[0]) for n, own in recipe.layers.items()}
    if not rest[EVERY_LAYER]:
        rest = {n: own for n, own in rest.items() if own}
    return float(amount), Recipe(layers=rest)


def with_structure(recipe: Recipe, step: Step) -> Recipe:
    """Returns the recipe with a structural step before everything else."""
    if not recipe.layers:
        return Recipe(steps=(step, *recipe.steps))
    layers = {name: (step, *steps) for name, steps in recipe.layers.items()}
    return Recipe(layers={EVERY_LAYER: (step,), **layers})


def _step_of(recipe: Recipe) -> Step:
    return next(s for s in recipe.all_steps() if s.plugin.stage == "structure")


def known_first(variants: Iterable[Measured]) -> list[Measured]:
    """Returns variants so that those without structural changes come first, as they anchor."""
    return sorted(variants, key=lambda m: split_structure(parse(m.recipe_json))[0] is not None)


def _normal_cdf(value: float) -> float:
    return _HALF * (1 + math.erf(value / math.sqrt(2)))
