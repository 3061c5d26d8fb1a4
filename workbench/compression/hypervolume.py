"""The area that a front of (cost, drop) dominates, and what a further point would add. NumPy only.

The hypervolume indicator of Zitzler and Thiele (1998), "Multiobjective optimization using
evolutionary algorithms", in two dimensions, where it is the area under a staircase.
"""

from __future__ import annotations

import numpy as np

# Gauss–Hermite nodes for a normal variable: five points integrate the gain well enough.
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(5)
_WEIGHTS = _WEIGHTS / _WEIGHTS.sum()


class Front:
    """Points of which none beats another, within a reference corner.

    Args:
        costs: Any costs [n]; smaller is better.
        drops: Their drops [n]; smaller is better.
        corner: Largest cost and largest drop that count.
    """

    def __init__(self, costs: np.ndarray, drops: np.ndarray, corner: tuple[float, float]) -> None:
        self.corner = corner
        inside = (costs < corner[0]) & (drops < corner[1])
        order = np.lexsort((drops[inside], costs[inside]))
        kept_costs: list[float] = []
        kept_drops: list[float] = []
        for cost, drop in zip(costs[inside][order], drops[inside][order], strict=True):
            if not kept_drops or drop < kept_drops[-1]:
                kept_costs.append(float(cost))
                kept_drops.append(float(drop))
        # Stretches along the cost axis and the smallest drop that is reached in each.
        self._starts = np.array([-np.inf, *kept_costs])
        self._ends = np.array([*kept_costs, corner[0]])
        self._levels = np.array([corner[1], *kept_drops])

    def area(self) -> float:
        """Returns the area dominated; drops below 0 count as 0."""
        widths = (self._ends - self._starts)[1:]
        heights = self.corner[1] - np.maximum(self._levels[1:], 0.0)
        return float((widths * heights).sum())

    def gain(self, costs: np.ndarray, drops: np.ndarray) -> np.ndarray:
        """Returns what points [n] (drops may be [n, k]) would add to the area."""
        shape = drops.shape
        flat = np.maximum(drops.reshape(len(costs), -1), 0.0)
        widths = np.maximum(
            0.0, np.minimum(self._ends, self.corner[0]) - np.maximum(self._starts, costs[:, None])
        )
        heights = np.maximum(0.0, np.maximum(self._levels, 0.0)[None, None, :] - flat[:, :, None])
        return np.asarray((widths[:, None, :] * heights).sum(axis=2).reshape(shape))


def samples_of(centers: np.ndarray, spreads: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns values [n, k] of normal variables and their weights [k], for expectations."""
    return centers[:, None] + spreads[:, None] * _NODES[None, :], _WEIGHTS
