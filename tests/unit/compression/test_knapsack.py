"""Choices for a small problem, against all combinations."""

import itertools

import numpy as np

from workbench.compression.knapsack import Problem, sweep


def small_problem(seed):
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(9, 30)) * rng.uniform(0.1, 1, (9, 1))
    rows = [np.arange(0, 3), np.arange(3, 6), np.arange(6, 9)]
    costs = [-rng.uniform(1, 10, 3) for _ in rows]
    return Problem(rows, costs, features @ features.T)


def price(problem, chosen, weight):
    cells = [problem.rows[i][c] for i, c in enumerate(chosen) if c >= 0]
    cost = sum(problem.costs[i][c] for i, c in enumerate(chosen) if c >= 0)
    return cost + weight * 0.5 * problem.gram[np.ix_(cells, cells)].sum()


def test_the_sweep_finds_nearly_every_optimum_of_the_lagrangian():
    hits, total = 0, 0
    for seed in range(8):
        problem = small_problem(seed)
        found = set(sweep(problem, 40, np.random.default_rng(0)))
        for weight in np.geomspace(0.1, 100, 9):
            every = itertools.product(range(-1, 3), repeat=3)
            best = min(price(problem, chosen, weight) for chosen in every)
            ours = min(price(problem, chosen, weight) for chosen in found)
            hits += ours <= best + 1e-9
            total += 1
    assert hits / total > 0.9


def test_jitter_is_seeded_and_gives_neighbors():
    problem = small_problem(1)
    first = list(sweep(problem, 12, np.random.default_rng(3), jitter=0.5))
    assert first == list(sweep(problem, 12, np.random.default_rng(3), jitter=0.5))
    assert first != list(sweep(problem, 12, np.random.default_rng(4), jitter=0.5))
