"""Rows of a table held by column: cheap to pick from, cheap to encode."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np


class Rows(Sequence[dict[str, Any]]):
    """Rows as mappings; the values lie in one list for each column.

    Args:
        columns: Values by name, all lists of the same length.
        length: Number of rows; needed only if there are no columns.
    """

    def __init__(self, columns: Mapping[str, list[Any]], length: int = 0) -> None:
        self._columns = dict(columns)
        self._length = len(next(iter(self._columns.values()))) if self._columns else length

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns, in order."""
        return tuple(self._columns)

    def column(self, name: str) -> list[Any]:
        """Returns the values of one column."""
        return self._columns[name]

    def replaced(self, columns: Mapping[str, list[Any]]) -> Rows:
        """Returns rows with some columns replaced."""
        return Rows({**self._columns, **columns}, self._length)

    def take(self, indices: np.ndarray) -> Rows:
        """Returns the rows at `indices`."""
        picked = [int(index) for index in indices]
        columns = {name: [column[i] for i in picked] for name, column in self._columns.items()}
        return Rows(columns, len(picked))

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return self.take(np.arange(*index.indices(len(self))))
        return {name: column[index] for name, column in self._columns.items()}

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (self[index] for index in range(len(self)))


def frame_columns(frame: Any) -> dict[str, list[Any]]:
    """Returns the values of a DataFrame by column; pandas and polars alike, without importing."""
    names = [str(name) for name in frame.columns]
    series = (frame[name] for name in frame.columns)
    return dict(zip(names, (list(column.to_list()) for column in series), strict=True))


def is_frame(value: Any) -> bool:
    """Returns whether `value` is a DataFrame, told by what it has."""
    return hasattr(value, "columns") and hasattr(value, "shape") and len(value.shape) == 2
