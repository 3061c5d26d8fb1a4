"""Root of the mean squared error."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.engine import scores
from workbench.evaluation.metric import Metric


class Rmse(Metric):
    """Root of the mean squared error, in the targets' unit."""

    summary = "Root of the mean squared error, in the targets' unit."
    task = "regression"
    higher_is_better = False

    def compute(self, outputs: NDArray[np.floating], targets: NDArray[Any]) -> float:
        """Returns the root of the mean squared error, in the targets' unit."""
        return scores.rmse(outputs, targets)


PLUGIN = Rmse()
