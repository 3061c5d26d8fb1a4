"""Share of samples whose labels are all right."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.tasks import _scores
from workbench.tasks._metric import Metric


class SubsetAccuracy(Metric):
    """Share of samples whose every label is answered right."""

    summary = "Share of samples whose every label is answered right."
    tasks = ("multilabel",)
    bounds = (0.0, 1.0)
    is_share = True

    def compute(self, outputs: NDArray[np.floating], targets: NDArray[Any]) -> float:
        """Returns the share of samples that are wholly right, 0 to 1."""
        return float(self.hits(outputs, targets).mean())

    def hits(self, outputs: NDArray[np.floating], targets: NDArray[Any]) -> NDArray[np.bool_]:
        """Returns which samples are wholly right."""
        answers, truth = _scores.both(outputs, targets)
        right: NDArray[np.bool_] = (answers == truth).all(axis=1)
        return right

    def chance(self, targets: NDArray[Any]) -> float:
        """Returns the share of the most frequent set of labels."""
        _, counts = np.unique(targets, axis=0, return_counts=True)
        return float(counts.max() / len(targets))


PLUGIN = SubsetAccuracy()
