"""The formulas of the basic scores, on NumPy arrays. No torch."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from workbench.core.errors import InputError


def accuracy(outputs: NDArray[np.floating], targets: NDArray[np.integer]) -> float:
    """Returns the share of samples whose largest output is the target class.

    Args:
        outputs: float [N, classes], logits or probabilities.
        targets: int [N], class indices.
    """
    return float(np.mean(class_indices(outputs) == column(targets, "targets")))


def r2(outputs: NDArray[np.floating], targets: NDArray[np.floating]) -> float:
    """Returns 1 − squared error / squared deviation from the mean; 1 is perfect, 0 the mean.

    Constant targets have no deviation: then 1 if all outputs are exact, else 0 (as in
    scikit-learn).

    Args:
        outputs: float [N] or [N, 1].
        targets: float [N] or [N, 1].
    """
    got, wanted = values(outputs, targets)
    error = float(np.sum((got - wanted) ** 2))
    deviation = float(np.sum((wanted - wanted.mean()) ** 2))
    if deviation == 0:
        return 1.0 if error == 0 else 0.0
    return 1.0 - error / deviation


def rmse(outputs: NDArray[np.floating], targets: NDArray[np.floating]) -> float:
    """Returns the root of the mean squared error, in the targets' unit."""
    got, wanted = values(outputs, targets)
    return float(np.sqrt(np.mean((got - wanted) ** 2)))


def class_indices(outputs: NDArray[np.floating]) -> NDArray[np.int64]:
    """Returns int64 [N], the index of the largest of the outputs [N, classes]."""
    if np.ndim(outputs) != 2 or len(outputs) == 0:
        raise InputError(
            f"Classification outputs have shape {np.shape(outputs)}; (N, classes) is needed."
        )
    indices: NDArray[np.int64] = np.argmax(outputs, axis=1)
    return indices


def values(
    outputs: NDArray[np.floating], targets: NDArray[np.floating]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Returns outputs and targets as float64 [N]; [N, 1] is taken as [N], never broadcast."""
    got = np.asarray(column(outputs, "outputs"), dtype=np.float64)
    wanted = np.asarray(column(targets, "targets"), dtype=np.float64)
    if got.shape != wanted.shape:
        raise InputError(f"There are {len(got)} outputs but {len(wanted)} targets.")
    return got, wanted


def column(array: NDArray[np.generic], what: str) -> NDArray[np.generic]:
    """Returns `array` as [N]; [N, 1] is the same thing.

    Raises:
        InputError: It has another shape or is empty.
    """
    array = np.asarray(array)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1 or len(array) == 0:
        raise InputError(f"The {what} have shape {array.shape}; (N,) or (N, 1) is needed, N ≥ 1.")
    return array
