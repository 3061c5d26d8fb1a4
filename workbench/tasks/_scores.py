"""Outputs and targets brought to one shape, and refused where they do not fit. NumPy only."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.core.errors import InputError
from workbench.core.records import OutputKind

_SUMS_TO_ONE = 1e-3


def class_indices(outputs: NDArray[np.floating]) -> NDArray[np.int64]:
    """Returns int64 [N], the index of the largest of the outputs [N, classes]."""
    if np.ndim(outputs) != 2 or len(outputs) == 0:
        raise InputError(
            f"Classification outputs have shape {np.shape(outputs)}; (N, classes) is needed."
        )
    indices: NDArray[np.int64] = np.argmax(outputs, axis=1)
    return indices


def softmax_kind(outputs: NDArray[np.floating]) -> OutputKind:
    """Returns whether outputs [N, classes, …] are probabilities: of no sign, with the sum 1."""
    if (outputs < 0).any():
        return "logits"
    return "probabilities" if np.allclose(outputs.sum(axis=1), 1, atol=_SUMS_TO_ONE) else "logits"


def are_shares(outputs: NDArray[np.floating]) -> bool:
    """Returns whether all outputs lie between 0 and 1, so that they are probabilities."""
    return bool(outputs.min(initial=0) >= 0 and outputs.max(initial=0) <= 1)


def yes(outputs: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Returns which answers are likelier yes than no: probabilities above ½, logits above 0."""
    return np.asarray(outputs > (0.5 if are_shares(outputs) else 0.0))


def both(
    outputs: NDArray[np.floating], targets: NDArray[Any]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Returns answers and truth of labels that may hold together, bool [N, labels] each.

    Raises:
        InputError: The shapes differ, or there is nothing.
    """
    if outputs.ndim != 2 or outputs.shape != targets.shape or not len(outputs):
        raise InputError(
            f"The outputs have shape {outputs.shape} for targets of shape {targets.shape}; "
            "(N, labels) is needed for both."
        )
    return yes(outputs), np.asarray(targets > 0)


def column(array: NDArray[Any], what: str) -> NDArray[Any]:
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


def values(
    outputs: NDArray[np.floating], targets: NDArray[Any]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Returns outputs and targets as float64 [M, C]: a column a value that is predicted.

    [N] is [N, 1] and never broadcast; of values at places [N, C, …] each place is a row.

    Raises:
        InputError: The shapes differ, or there is nothing.
    """
    got, wanted = (_columns(np.asarray(array)) for array in (outputs, targets))
    if got.shape != wanted.shape or not len(got):
        raise InputError(
            f"The outputs have shape {np.shape(outputs)} for targets of shape "
            f"{np.shape(targets)}; the same shape is needed, with at least one sample."
        )
    return got, wanted


def _columns(array: NDArray[Any]) -> NDArray[np.float64]:
    if array.ndim < 2:
        array = array.reshape(-1, 1)
    return np.moveaxis(array, 1, -1).reshape(-1, array.shape[1]).astype(np.float64)
