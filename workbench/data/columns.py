"""One column of a table: its coding, fitted on train, and how cells become features by it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal

import numpy as np
from pydantic import Field

from workbench.core.config import Config
from workbench.data.cells import days, from_days, plain, to_moment, to_number, to_text


class Column(Config):
    """How one column is coded."""

    name: str = Field(description="Its name.")
    kind: Literal["number", "category", "date", "ignored"] = Field(description="Its sort.")
    fill: float = Field(
        default=0.0, description="Median of train, for missing numbers and dates (days)."
    )
    scale: float = Field(default=1.0, description="Standard deviation of train.")
    missing: bool = Field(default=False, description="Whether a feature tells missing ones apart.")
    categories: tuple[str, ...] = Field(
        default=(), description="A feature each; most frequent first."
    )
    other: bool = Field(
        default=False, description="Whether a feature stands for rare and new categories."
    )
    form: str = Field(
        default="iso", description="How dates are written: iso, or a strptime format."
    )
    clock: bool = Field(default=False, description="Whether dates have a time of day.")
    reason: str = Field(default="", description="Why it is ignored.")


def feature_names(column: Column) -> list[str]:
    """Returns the names of the column's features, as in "city=Paris"."""
    if column.kind == "ignored":
        return []
    names = {
        "number": [column.name],
        "category": [f"{column.name}={value}" for value in column.categories],
        "date": [f"{column.name}.{part}" for part in ("days", "month", "weekday")],
    }[column.kind]
    if column.clock:
        names.append(f"{column.name}.hour")
    if column.other:
        names.append(f"{column.name}=other")
    return [*names, f"{column.name} is missing"] if column.missing else names


def is_indicator(column: Column) -> np.ndarray:
    """Returns which of the column's features are 0 or 1, bool (features,)."""
    count = len(feature_names(column))
    if column.kind == "category":
        return np.ones(count, bool)
    return np.arange(count) >= count - int(column.missing)


def scales(column: Column) -> np.ndarray:
    """Returns by what each of the column's features is rounded to find near copies, (features,)."""
    result = np.ones(len(feature_names(column)))
    if column.kind in ("number", "date"):
        result[0] = column.scale
    return result


def example_cell(column: Column) -> Any:
    """Returns a cell as JSON has it: the median, the most frequent category, the median day."""
    if column.kind == "category":
        return column.categories[0] if column.categories else ""
    if column.kind == "date":
        moment = from_days(column.fill)
        if column.form != "iso":
            return moment.strftime(column.form)
        return moment.isoformat() if column.clock else moment.date().isoformat()
    return column.fill


def encode(column: Column, cells: Sequence[Any], problems: list[str]) -> np.ndarray:
    """Returns the features of n cells, float32 (n, features); cells that cannot be read are told.

    Missing numbers and dates become the median of train. A category that train never had is the
    feature "other" if there is one, else none of the features.
    """
    if column.kind == "number":
        return _numbers(column, cells, problems)
    if column.kind == "date":
        return _dates(column, cells, problems)
    return _categories(column, cells)


def _numbers(column: Column, cells: Sequence[Any], problems: list[str]) -> np.ndarray:
    values = np.full(len(cells), np.nan)
    for index, cell in enumerate(cells):
        try:
            values[index] = to_number(plain(cell))
        except (TypeError, ValueError):
            wanted = "a number below 3.4e38" if isinstance(cell, (int, float)) else "a number"
            problems.append(_problem(column, index, cells, wanted))
    return _with_missing(column, np.where(np.isnan(values), column.fill, values), values)


def _dates(column: Column, cells: Sequence[Any], problems: list[str]) -> np.ndarray:
    values = np.full(len(cells), np.nan)
    parts = np.zeros((len(cells), 4 if column.clock else 3))
    parts[:] = _date_features(from_days(column.fill), parts.shape[1])
    for index, cell in enumerate(cells):
        try:
            moment = moment_of(plain(cell), column.form)
        except ValueError:
            problems.append(_problem(column, index, cells, "a date, as in 2026-11-22"))
            continue
        if moment is not None:
            parts[index] = _date_features(moment, parts.shape[1])
            values[index] = parts[index, 0]
    return _with_missing(column, parts, values)


def _date_features(moment: datetime, count: int) -> list[float]:
    hour = moment.hour + moment.minute / 60
    return [days(moment), moment.month, moment.weekday(), hour][:count]


def moment_of(cell: Any, form: str) -> Any:
    """Returns a plain cell as a moment: by `form`, else as ISO 8601; None if it is missing.

    Raises:
        ValueError: It is neither.
    """
    try:
        return to_moment(cell, form)
    except ValueError:
        return to_moment(cell, "iso")


def _categories(column: Column, cells: Sequence[Any]) -> np.ndarray:
    features = np.zeros((len(cells), len(feature_names(column))), np.float32)
    positions = {value: i for i, value in enumerate(column.categories)}
    other = len(column.categories) if column.other else None
    absent = features.shape[1] - 1 if column.missing else other
    for index, cell in enumerate(cells):
        text = to_text(plain(cell))
        position = absent if text is None else positions.get(text, other)
        if position is not None:
            features[index, position] = 1
    return features


def _with_missing(column: Column, features: np.ndarray, values: np.ndarray) -> np.ndarray:
    parts = [features if features.ndim == 2 else features[:, None]]
    if column.missing:
        parts.append(np.isnan(values)[:, None])
    return np.concatenate(parts, 1).astype(np.float32)


def _problem(column: Column, index: int, cells: Sequence[Any], wanted: str) -> str:
    where = "" if len(cells) == 1 else f"row {index}: "
    return f"{where}column '{column.name}': {cells[index]!r} is not {wanted}"
