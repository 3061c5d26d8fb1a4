"""Counts of right and wrong answers by class. NumPy only."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.core.errors import InputError
from workbench.tasks import _scores


def confusion_matrix(outputs: NDArray[np.floating], targets: NDArray[Any]) -> NDArray[np.int64]:
    """Returns int64 [classes, classes]: rows are the true class, columns the answer.

    Args:
        outputs: float [N, classes].
        targets: int [N], class indices.

    Raises:
        InputError: The shapes do not fit, or a target is not one of the classes.
    """
    answers = _scores.class_indices(outputs)
    truth = _scores.column(targets, "targets").astype(np.int64)
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


def place_confusion(outputs: NDArray[np.floating], targets: NDArray[Any]) -> NDArray[np.int64]:
    """Returns counts of places int64 [N, classes, classes] of each sample, rows the true class.

    Args:
        outputs: float [N, classes, *places].
        targets: int [N, *places], class indices.

    Raises:
        InputError: The shapes do not fit, or a target is not one of the classes.
    """
    classes = outputs.shape[1] if outputs.ndim > 2 else 0
    if not len(outputs) or outputs.shape[:1] + outputs.shape[2:] != targets.shape or not classes:
        raise InputError(
            f"The outputs have shape {outputs.shape} for targets of shape {targets.shape}; "
            "(N, classes, *places) and (N, *places) are needed."
        )
    if targets.min() < 0 or targets.max() >= classes:
        raise InputError(f"The targets run to {targets.max()}; the model has {classes} classes.")
    pairs = targets.astype(np.int64) * classes + outputs.argmax(axis=1)
    rows = pairs.reshape(len(pairs), -1)
    counts = np.stack([np.bincount(row, minlength=classes * classes) for row in rows])
    return counts.reshape(-1, classes, classes)


def share(parts: NDArray[Any], wholes: NDArray[Any]) -> NDArray[np.float64]:
    """Returns parts / wholes, and 0 where the whole is 0."""
    return np.where(wholes > 0, parts / np.maximum(wholes, 1), 0.0)
