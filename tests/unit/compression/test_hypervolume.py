"""The area a front dominates, against a count of grid points."""

import numpy as np

from workbench.compression.hypervolume import Front


def counted(costs, drops, corner, steps=400):
    xs = (np.arange(steps) + 0.5) / steps * corner[0]
    ys = (np.arange(steps) + 0.5) / steps * corner[1]
    beaten = np.zeros((steps, steps), bool)
    for cost, drop in zip(costs, drops, strict=True):
        beaten |= (xs[:, None] >= cost) & (ys[None, :] >= max(drop, 0))
    return beaten.mean() * corner[0] * corner[1]


def test_area_and_gain_are_those_of_a_fine_grid():
    rng = np.random.default_rng(0)
    corner = (0.3, 10.0)
    for _ in range(5):
        costs, drops = rng.uniform(0.02, 0.4, 12), rng.uniform(-1, 12, 12)
        front = Front(costs, drops, corner)
        area = counted(costs, drops, corner)
        assert abs(front.area() - area) < 0.02
        new_costs, new_drops = rng.uniform(0.02, 0.3, 4), rng.uniform(0, 10, 4)
        gains = front.gain(new_costs, new_drops)
        for cost, drop, gain in zip(new_costs, new_drops, gains, strict=True):
            both = counted([*costs, cost], [*drops, drop], corner)
            assert abs(gain - (both - area)) < 0.03


def test_an_empty_front_has_no_area():
    front = Front(np.zeros(0), np.zeros(0), (1.0, 1.0))
    assert front.area() == 0
    assert front.gain(np.array([0.5]), np.array([0.5]))[0] == 0.25
