"""Share of right answers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.tasks import _scores
from workbench.tasks._metric import Metric


class Accuracy(Metric):
    """Share of samples whose largest output is the right class."""

    summary = "Share of samples whose largest output is the right class."
    tasks = ("classification",)
    bounds = (0.0, 1.0)
    is_share = True

    def compute(self, outputs: NDArray[np.floating], targets: NDArray[Any]) -> float:
        """Returns the share of right answers, 0 to 1."""
        return float(self.hits(outputs, targets).mean())

    def hits(self, outputs: NDArray[np.floating], targets: NDArray[Any]) -> NDArray[np.bool_]:
        """Returns whether the largest output is the right class."""
        right: NDArray[np.bool_] = _scores.class_indices(outputs) == _scores.column(
            targets, "targets"
        )
        return right

    def chance(self, targets: NDArray[Any]) -> float:
        """Returns the share of the most frequent class."""
        return float(np.bincount(targets.astype(int)).max() / len(targets))


PLUGIN = Accuracy()
