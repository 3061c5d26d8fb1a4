"""Accuracy in which each class weighs the same."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.tasks._confusion import confusion_matrix, share
from workbench.tasks._metric import Metric


class BalancedAccuracy(Metric):
    """Mean over the classes of the share found; rare classes count as much as common ones."""

    summary = "Mean over the classes of the share found; rare classes count as much as common ones."
    tasks = ("classification",)
    bounds = (0.0, 1.0)
    is_share = True

    def compute(self, outputs: NDArray[np.floating], targets: NDArray[Any]) -> float:
        """Returns the mean recall over the classes that occur in `targets`, 0 to 1."""
        counts = confusion_matrix(outputs, targets)
        present = counts.sum(1) > 0
        return float(share(np.diag(counts), counts.sum(1))[present].mean())

    def chance(self, targets: NDArray[Any]) -> float:
        """Returns one over the classes that occur."""
        return 1.0 / max(1, len(np.unique(targets)))


PLUGIN = BalancedAccuracy()
