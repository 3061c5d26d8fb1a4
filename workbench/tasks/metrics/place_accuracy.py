"""Share of right places."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.tasks._confusion import place_confusion
from workbench.tasks._metric import Metric


class PlaceAccuracy(Metric):
    """Share of all places of all samples whose largest output is the right class."""

    summary = "Share of places whose largest output is the right class."
    tasks = ("dense",)
    labeled = True
    bounds = (0.0, 1.0)
    is_share = True

    def compute(self, outputs: NDArray[np.floating], targets: NDArray[Any]) -> float:
        """Returns the share of right places, 0 to 1."""
        counts = place_confusion(outputs, targets).sum(axis=0)
        return float(np.diag(counts).sum() / counts.sum())

    def chance(self, targets: NDArray[Any]) -> float:
        """Returns the share of the most frequent class."""
        counts = np.bincount(targets.ravel())
        return float(counts.max() / counts.sum())


PLUGIN = PlaceAccuracy()
