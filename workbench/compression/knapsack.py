"""Which treatment each layer gets: a multiple-choice knapsack with a quadratic price.

The price of a choice is its cost plus λ times its score, half the sum of the Gram matrix over all
pairs of chosen cells. For a given λ, layers take turns and each picks the treatment that is
cheapest beside the others' (coordinate descent on the Lagrangian; Kellerer, Pferschy and Pisinger
2004, "Knapsack Problems", ch. 11). Sweeping λ gives the lower hull; jittered weights give
neighbours of it. NumPy only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

_SWEEPS = 8


@dataclass(frozen=True)
class Problem:
    """Layers with their choices.

    Attributes:
        rows: For each layer the rows [k] of its treatments in `gram`.
        costs: For each layer the cost [k] each treatment adds; negative where it saves.
        gram: Of all cells [cells, cells].
    """

    rows: Sequence[np.ndarray]
    costs: Sequence[np.ndarray]
    gram: np.ndarray

    def restricted(self, allowed: Sequence[np.ndarray]) -> Problem:
        """Returns the problem with only some choices: for each layer a mask [k]."""
        rows = [row[keep] for row, keep in zip(self.rows, allowed, strict=True)]
        costs = [cost[keep] for cost, keep in zip(self.costs, allowed, strict=True)]
        return Problem(rows, costs, self.gram)


def sweep(
    problem: Problem, steps: int, rng: np.random.Generator, jitter: float = 0.0
) -> Iterator[tuple[int, ...]]:
    """Yields choices from mild to strong: for each layer an index into its rows, −1 for none.

    Args:
        problem: Layers and choices.
        steps: Prices λ to try, spread evenly on a logarithmic scale.
        rng: For turns and jitter.
        jitter: Standard deviation of the logarithm of each cell's weight.
    """
    gram = problem.gram
    if jitter:
        factor = np.exp(jitter * rng.standard_normal(len(gram)))
        gram = gram * factor[:, None] * factor
    chosen = np.full(len(problem.rows), -1)
    for price in _prices(problem, steps):
        chosen = _settled(problem, gram, price, chosen, rng)
        yield tuple(int(index) for index in chosen)


def _prices(problem: Problem, steps: int) -> np.ndarray:
    """Returns λ from where nothing is worth a change to where everything is."""
    diagonal = np.maximum(np.diag(problem.gram), 1e-9)
    ratios = [
        -cost[saves] / diagonal[rows[saves]]
        for rows, cost in zip(problem.rows, problem.costs, strict=True)
        if (saves := cost < 0).any()
    ]
    if not ratios:
        return np.zeros(0)
    found = np.concatenate(ratios)
    return np.geomspace(found.max() * 4, max(found.min() / 8, found.max() * 1e-9), steps)


def _settled(
    problem: Problem,
    gram: np.ndarray,
    price: float,
    start: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    chosen = start.copy()
    rows = [problem.rows[i][c] for i, c in enumerate(chosen) if c >= 0]
    pull = gram[:, rows].sum(axis=1) if rows else np.zeros(len(gram))
    half = 0.5 * np.diag(gram)
    for _ in range(_SWEEPS):
        before = chosen.copy()
        for layer in rng.permutation(len(chosen)):
            own, old = problem.rows[layer], chosen[layer]
            if old >= 0:
                pull = pull - gram[:, own[old]]
            value = problem.costs[layer] + price * (pull[own] + half[own])
            best = int(value.argmin()) if len(value) else -1
            chosen[layer] = best if best >= 0 and value[best] < 0 else -1
            if chosen[layer] >= 0:
                pull = pull + gram[:, own[chosen[layer]]]
        if (chosen == before).all():
            break
    return chosen
