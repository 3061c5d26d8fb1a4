"""Which task targets are for, where nobody said."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

_FEW = 20


def infer_task(values: Sequence[Any] | np.ndarray, *, is_labeled: bool = False) -> str:
    """Returns the key of the task that fits targets; missing ones do not count.

    One value a sample: classification for text, bools and few whole numbers, else regression.
    Several numbers a sample are several values of a regression; lists of names, or nothing but 0
    and 1, are labels that may hold together; anything with more axes is dense.

    Args:
        values: N targets.
        is_labeled: Whether names of labels were given.
    """
    if isinstance(values, np.ndarray) and values.ndim > 1 and values.shape[1:] != (1,):
        if values.ndim > 2:
            return "dense"
        return "multilabel" if is_labeled or _is_binary(values) else "regression"
    present = [value for value in values if value is not None]
    if any(isinstance(value, (list, tuple, set, frozenset)) for value in present):
        return "multilabel"
    return "classification" if is_labeled or not present else _of_scalars(present)


def _of_scalars(values: Sequence[Any]) -> str:
    if any(isinstance(value, (str, bool, np.bool_)) for value in values):
        return "classification"
    numbers = [float(value) for value in values]
    distinct = {number for number in numbers if math.isfinite(number)}
    whole = all(number.is_integer() for number in distinct)
    is_few = len(distinct) <= _FEW and len(distinct) < max(3, len(numbers) / 2)
    return "classification" if whole and is_few else "regression"


def _is_binary(values: np.ndarray) -> bool:
    return bool(values.dtype == bool or np.isin(values, (0, 1)).all())
