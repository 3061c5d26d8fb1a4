"""Share of right answers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.engine import scores
from workbench.evaluation.metric import Metric


class Accuracy(Metric):
    """Share of samples whose largest output is the right class."""

    summary = "Share of samples whose largest output is the right class."
    task = "classification"
    mean_of_hits = True

    def compute(self, outputs: NDArray[np.floating], targets: NDArray[Any]) -> float:
        """Returns the share of right answers, 0 to 1."""
        return scores.accuracy(outputs, targets)


PLUGIN = Accuracy()
