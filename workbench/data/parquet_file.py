"""Parquet files: checked by what they say of themselves, then read in pieces that are counted.

A text that is stored once and repeated comes as one object, however often it is there.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from workbench.core.errors import InputError
from workbench.core.optional import require
from workbench.data.table_size import Room

_SUFFIXES = (".parquet", ".pq")
_ROWS = 65_536
_TEXTS = ("string", "large_string", "binary", "large_binary")


def is_parquet(path: Path) -> bool:
    """Returns whether a file's name is that of a Parquet file."""
    return path.suffix.lower() in _SUFFIXES


def check_parquet(path: Path, room: Room) -> None:
    """Checks that there is room for what a file says that it holds.

    Raises:
        InputError: There is not, or it is no Parquet file.
    """
    with _opened(path) as file:
        room.check_parquet(file.metadata)


def read_parquet(path: Path, room: Room) -> dict[str, list[Any]]:
    """Returns the cells by column.

    Raises:
        InputError: There is no room for them, or it is no Parquet file.
    """
    with _opened(path) as file:
        room.check_parquet(file.metadata)
        names = file.schema_arrow.names
        texts = [field.name for field in file.schema_arrow if str(field.type) in _TEXTS]
    cells: dict[str, list[Any]] = {name: [] for name in names}
    content = 0
    with _opened(path, texts) as file:
        try:
            for batch in file.iter_batches(_ROWS):
                content += sum(map(_text_bytes, batch.columns))
                room.check(batch.num_columns * (len(cells[names[0]]) + batch.num_rows), content)
                for name, column in zip(names, batch.columns, strict=True):
                    cells[name] += _values(column)
        except (OSError, ValueError) as error:
            raise _unreadable(path, error) from error
    return cells


def _opened(path: Path, repeated: list[str] | None = None) -> Any:
    """Opens a file; texts of the columns `repeated` come as numbers of a dictionary."""
    parquet = require("pyarrow.parquet", for_="reading Parquet files")
    try:
        return parquet.ParquetFile(path, read_dictionary=repeated)
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> InputError:
    return InputError(f"'{path.name}' is no readable Parquet file: {error}.")


def _is_dictionary(column: Any) -> bool:
    return hasattr(column, "dictionary")


def _text_bytes(column: Any) -> int:
    """Returns the bytes of a column's content as if each text were there as often as it is told."""
    if not _is_dictionary(column):
        return int(column.nbytes)
    compute = require("pyarrow.compute", for_="reading Parquet files")
    try:
        lengths = compute.binary_length(column.dictionary)
    except (NotImplementedError, TypeError):  # numbers in a dictionary
        return int(column.nbytes)
    return int(compute.sum(lengths.take(column.indices)).as_py() or 0)


def _values(column: Any) -> list[Any]:
    if not _is_dictionary(column):
        return list(column.to_pylist())
    known = column.dictionary.to_pylist()
    return [None if index is None else known[index] for index in column.indices.to_pylist()]
