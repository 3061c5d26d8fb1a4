"""Accuracy in which each class weighs the same."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.evaluation.confusion import confusion_matrix, share
from workbench.evaluation.metric import Metric


class BalancedAccuracy(Metric):
    """Mean over the classes of the share found; rare classes count as much as common ones."""

    summary = "Mean over the classes of the share found; rare classes count as much as common ones."
    task = "classification"

    def compute(self, outputs: NDArray[np.floating], targets: NDArray[Any]) -> float:
        """Returns the mean recall over the classes that occur in `targets`, 0 to 1."""
        counts = confusion_matrix(outputs, targets)
        present = counts.sum(1) > 0
        return float(share(np.diag(counts), counts.sum(1))[present].mean())


PLUGIN = BalancedAccuracy()
