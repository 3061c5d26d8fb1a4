"""Mean absolute error."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.engine import scores
from workbench.evaluation.metric import Metric


class Mae(Metric):
    """Mean absolute error, in the targets' unit; a few bad misses weigh less than in rmse."""

    summary = "Mean absolute error, in the targets' unit; a few bad misses weigh less than in rmse."
    task = "regression"
    higher_is_better = False

    def compute(self, outputs: NDArray[np.floating], targets: NDArray[Any]) -> float:
        """Returns the mean absolute error, in the targets' unit."""
        got, wanted = scores.values(outputs, targets)
        return float(np.mean(np.abs(got - wanted)))


PLUGIN = Mae()
