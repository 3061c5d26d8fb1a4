"""What measuring a candidate promises, before it is measured. NumPy only.

Expected hypervolume gain (Emmerich et al. 2006), and expected improvement of the best variant
within the limits (Mockus 1978; with constraints Gardner et al. 2014, "Bayesian optimization with
inequality constraints").
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from workbench.compression.goal import Goal, drop_of
from workbench.compression.hypervolume import Front, samples_of
from workbench.compression.measured import Measured
from workbench.compression.score_map import UNIT, squash

_FRONT_WEIGHT, _NOTICEABLE = 0.3, 0.01
_HALF = 0.5


@dataclass(frozen=True)
class Predicted:
    """What is expected of candidates.

    Attributes:
        costs: Of each [n].
        centers: Of their drops, on the scale of asinh [n].
        spreads: Standard deviations of these [n].
    """

    costs: np.ndarray
    centers: np.ndarray
    spreads: np.ndarray


def front_gains(
    predicted: Predicted, known: Sequence[Measured], goal: Goal, corner: tuple[float, float]
) -> np.ndarray:
    """Returns the expected gain of hypervolume [n], as a share of the whole area.

    Args:
        predicted: Of the candidates.
        known: What was measured.
        goal: Says what the cost is.
        corner: Largest cost and drop (points) that count.
    """
    points, weights = samples_of(predicted.centers, predicted.spreads)
    front = Front(
        np.array([goal.cost(m) for m in known]),
        np.array([100 * drop_of(m) for m in known]),
        corner,
    )
    gains = front.gain(predicted.costs, UNIT * np.sinh(points)) @ weights
    return np.asarray(gains / (corner[0] * corner[1]))


def goal_gains(
    predicted: Predicted, known: Sequence[Measured], goal: Goal, corner: tuple[float, float]
) -> np.ndarray:
    """Returns the expected improvement of the best within the limits, and some of the front's.

    Args:
        predicted: Of the candidates.
        known: What was measured.
        goal: The limits.
        corner: Largest cost and drop (points) that count.
    """
    limit = float(squash(100 * goal.max_drop))
    chance = np.array(
        [
            _normal_cdf((limit - center) / spread)
            for center, spread in zip(predicted.centers, predicted.spreads, strict=True)
        ]
    )
    best = goal.best(known)
    least = (1 - _NOTICEABLE) * min(np.inf if goal.excess(best) else goal.cost(best), corner[0])
    better = np.maximum(0.0, least - predicted.costs) / corner[0]
    gains = front_gains(predicted, known, goal, corner)
    return np.asarray(better * chance + _FRONT_WEIGHT * gains)


def _normal_cdf(value: float) -> float:
    return _HALF * (1 + math.erf(value / math.sqrt(2)))
