"""F1 score averaged over classes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.tasks._confusion import confusion_matrix, share
from workbench.tasks._metric import Metric


class F1Macro(Metric):
    """Mean over the classes of F1, the harmonic mean of precision and recall."""

    summary = "Mean over the classes of F1, the harmonic mean of precision and recall."
    tasks = ("classification",)
    bounds = (0.0, 1.0)
    is_share = True

    def compute(self, outputs: NDArray[np.floating], targets: NDArray[Any]) -> float:
        """Returns the mean F1 over the classes that occur in targets or answers, 0 to 1."""
        counts = confusion_matrix(outputs, targets)
        sides = counts.sum(0) + counts.sum(1)
        return float(share(2 * np.diag(counts), sides)[sides > 0].mean())

    def chance(self, targets: NDArray[Any]) -> float:
        """Returns the mean F1 of always answering the most frequent class."""
        counts = np.bincount(targets.astype(int))
        largest = counts.max() / counts.sum()
        return float(2 * largest / (1 + largest) / np.count_nonzero(counts))


PLUGIN = F1Macro()
