"""Share of explained variance."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.engine import scores
from workbench.evaluation.metric import Metric


class R2(Metric):
    """Share of the targets' variance that the model explains; 1 is perfect, 0 is the mean."""

    summary = "Share of the targets' variance that the model explains; 1 is perfect, 0 is the mean."
    task = "regression"

    def compute(self, outputs: NDArray[np.floating], targets: NDArray[Any]) -> float:
        """Returns 1 − squared error / squared deviation from the mean."""
        return scores.r2(outputs, targets)


PLUGIN = R2()
