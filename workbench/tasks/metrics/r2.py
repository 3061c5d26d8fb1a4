"""Share of explained variance."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.tasks import _scores
from workbench.tasks._metric import Metric


class R2(Metric):
    """Share of the targets' variance that the model explains; 1 is perfect, 0 is the mean."""

    summary = "Share of the targets' variance that the model explains; 1 is perfect, 0 is the mean."
    tasks = ("regression", "dense")
    labeled = False
    bounds = (-math.inf, 1.0)

    def compute(self, outputs: NDArray[np.floating], targets: NDArray[Any]) -> float:
        """Returns 1 − squared error / squared deviation from the mean, averaged over the values.

        Constant targets have no deviation: then 1 if all outputs are exact, else 0 (as in
        scikit-learn).
        """
        got, wanted = _scores.values(outputs, targets)
        error = np.sum((got - wanted) ** 2, axis=0)
        deviation = np.sum((wanted - wanted.mean(axis=0)) ** 2, axis=0)
        constant = np.where(error == 0, 1.0, 0.0)
        explained = 1.0 - error / np.where(deviation == 0, 1.0, deviation)
        return float(np.where(deviation == 0, constant, explained).mean())


PLUGIN = R2()
