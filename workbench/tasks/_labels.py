"""Names of classes → indices, with every bad place named."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from workbench.core.errors import InputError


def as_classes(
    values: Sequence[Any], labels: Sequence[str] | None, place: Callable[[int], str]
) -> tuple[np.ndarray, tuple[str, ...], list[str]]:
    """Returns int64 class indices, the labels, and the places of bad targets.

    Args:
        values: Names of labels, or whole numbers: indices into `labels`.
        labels: Class names; None takes them from the values.
        place: Where sample i came from.

    Raises:
        InputError: The labels are not distinct.
    """
    if labels is not None:
        values = [int(value) if isinstance(value, (bool, np.bool_)) else value for value in values]
    texts = [class_name(value) for value in values]
    problems = [
        f"{place(i)}: the target is missing" for i, text in enumerate(texts) if text is None
    ]
    numeric = not any(isinstance(value, str) for value in values)
    names = [text for text in texts if text is not None]
    if labels is None:
        known = sorted_names(names)
    else:
        known = tuple(str(label) for label in labels)
        check_labels(known)
    positions = {name: i for i, name in enumerate(known)}
    if labels is not None and numeric:
        positions = {str(i): i for i in range(len(known))}
    result = np.zeros(len(values), np.int64)
    for index, text in enumerate(texts):
        if text is None:
            continue
        if text in positions:
            result[index] = positions[text]
        else:
            problems.append(f"{place(index)}: target {text} is none of {_shown(known, numeric)}")
    return result, known, problems


def class_name(value: Any) -> str | None:
    """Returns a target as the name of a class: 3.0 is "3", NaN and None and "" are missing."""
    if value is None or value == "":
        return None
    if isinstance(value, (bool, np.bool_)):
        return str(bool(value)).lower()
    if isinstance(value, (float, np.floating)):
        if math.isnan(value):
            return None
        return str(int(value)) if float(value).is_integer() else str(value)
    return str(value).strip() or None


def sorted_names(names: Iterable[str]) -> tuple[str, ...]:
    """Returns distinct names in order; if all are numbers, by their value."""
    distinct = set(names)
    if distinct <= {"true", "false"}:
        return tuple(sorted(distinct))
    try:
        return tuple(sorted(distinct, key=lambda name: (float(name), name)))
    except ValueError:
        return tuple(sorted(distinct))


def check_labels(labels: Sequence[str]) -> None:
    """Checks that labels are distinct.

    Raises:
        InputError: Some appear twice.
    """
    twice = sorted({label for label in labels if list(labels).count(label) > 1})
    if twice:
        raise InputError(f"Labels appear twice: {', '.join(twice)}.", hint="Give distinct labels.")


def _shown(labels: Sequence[str], numeric: bool) -> str:
    if numeric:
        return f"0…{len(labels) - 1} (indices into {len(labels)} labels)"
    more = " …" if len(labels) > 10 else ""
    return f"the {len(labels)} labels {', '.join(labels[:10])}{more}"
