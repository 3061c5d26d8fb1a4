"""Root of the mean squared error."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.tasks import _scores
from workbench.tasks._metric import Metric


class Rmse(Metric):
    """Root of the mean squared error, in the targets' unit."""

    summary = "Root of the mean squared error, in the targets' unit."
    tasks = ("regression", "dense")
    labeled = False
    higher_is_better = False
    bounds = (0.0, math.inf)

    def compute(self, outputs: NDArray[np.floating], targets: NDArray[Any]) -> float:
        """Returns the root of the mean squared error; that of several values is averaged."""
        got, wanted = _scores.values(outputs, targets)
        return float(np.sqrt(np.mean((got - wanted) ** 2, axis=0)).mean())

    def unit(self, targets: NDArray[Any]) -> float:
        """Returns the mean spread of the targets."""
        return float(_scores.values(targets, targets)[0].std(axis=0).mean()) or 1.0


PLUGIN = Rmse()
