"""F1 over all answers of yes or no."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.tasks import _scores
from workbench.tasks._metric import Metric


class F1Micro(Metric):
    """Harmonic mean of precision and recall, over the answers to all labels together."""

    summary = "F1 (precision and recall together) over the answers to all labels."
    tasks = ("multilabel",)
    bounds = (0.0, 1.0)
    is_share = True

    def compute(self, outputs: NDArray[np.floating], targets: NDArray[Any]) -> float:
        """Returns the F1 over all labels, 0 to 1; 0 if nothing is shown or answered."""
        answers, truth = _scores.both(outputs, targets)
        total = int(answers.sum()) + int(truth.sum())
        return 2 * int((answers & truth).sum()) / total if total else 0.0

    def chance(self, targets: NDArray[Any]) -> float:
        """Returns the F1 of answering yes to each label that most samples show, or to all."""
        shares = np.sort((targets > 0).mean(axis=0))[::-1]
        hits, answered = np.cumsum(shares), np.arange(1, len(shares) + 1)
        return float((2 * hits / (answered + shares.sum())).max())


PLUGIN = F1Micro()
