"""Overlap of predicted and true places."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.tasks._confusion import place_confusion, share
from workbench.tasks._metric import Metric


class MeanIou(Metric):
    """Mean over the classes of the places in both, over the places in either."""

    summary = "Overlap (intersection over union) of predicted and true places, mean over classes."
    tasks = ("dense",)
    labeled = True
    bounds = (0.0, 1.0)
    is_share = True

    def compute(self, outputs: NDArray[np.floating], targets: NDArray[Any]) -> float:
        """Returns the mean over the classes that occur in targets or answers, 0 to 1."""
        return _mean_iou(place_confusion(outputs, targets).sum(axis=0))

    def chance(self, targets: NDArray[Any]) -> float:
        """Returns the overlap if all places are the most frequent class."""
        counts = np.bincount(targets.ravel())
        return float(counts.max() / counts.sum() / np.count_nonzero(counts))


PLUGIN = MeanIou()


def _mean_iou(counts: NDArray[np.int64]) -> float:
    either = counts.sum(0) + counts.sum(1) - np.diag(counts)
    return float(share(np.diag(counts), either)[either > 0].mean())
