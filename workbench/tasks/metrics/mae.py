"""Mean absolute error."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.tasks import _scores
from workbench.tasks._metric import Metric


class Mae(Metric):
    """Mean absolute error, in the targets' unit; a few bad misses weigh less than in rmse."""

    summary = "Mean absolute error, in the targets' unit; a few bad misses weigh less than in rmse."
    tasks = ("regression", "dense")
    labeled = False
    higher_is_better = False
    bounds = (0.0, math.inf)

    def compute(self, outputs: NDArray[np.floating], targets: NDArray[Any]) -> float:
        """Returns the mean absolute error, in the targets' unit; several values are averaged."""
        got, wanted = _scores.values(outputs, targets)
        return float(np.mean(np.abs(got - wanted)))

    def unit(self, targets: NDArray[Any]) -> float:
        """Returns the mean spread of the targets."""
        return float(_scores.values(targets, targets)[0].std(axis=0).mean()) or 1.0


PLUGIN = Mae()
