"""Counts of right and wrong answers by class. NumPy only."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.core.errors import InputError
from workbench.engine import scores


def confusion_matrix(outputs: NDArray[np.floating], targets: NDArray[Any]) -> NDArray[np.int64]:
    """Returns int64 [classes, classes]: rows are the true class, columns the answer.

    Args:
        outputs: float [N, classes].
        targets: int [N], class indices.

    Raises:
        InputError: The shapes do not fit, or a target is not one of the classes.
    """
    answers = scores.class_indices(outputs)
    truth = scores.column(targets, "targets").astype(np.int64)
    classes = outputs.shape[1]
    if len(answers) != len(truth):
        raise InputError(f"There are {len(answers)} outputs but {len(truth)} targets.")
    if truth.min() < 0 or truth.max() >= classes:
        raise InputError(
            f"The targets run from {truth.min()} to {truth.max()}; "
            f"the model has classes 0 to {classes - 1}."
        )
    counts = np.bincount(truth * classes + answers, minlength=classes * classes)
    return counts.reshape(classes, classes)


def share(parts: NDArray[Any], wholes: NDArray[Any]) -> NDArray[np.float64]:
    """Returns parts / wholes, and 0 where the whole is 0."""
    return np.where(wholes > 0, parts / np.maximum(wholes, 1), 0.0)
