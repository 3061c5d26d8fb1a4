"""How much memory a table's cells take, told before they are there, and refused beyond a limit.

A compressed file says little of that: one value repeated a thousand million times is a few bytes of
Parquet. A cell is counted as a Python object of its own, and a text by its length besides.
"""

from __future__ import annotations

from typing import Any, NoReturn

from workbench.core.errors import InputError
from workbench.core.host import free_bytes

CELL_BYTES = 64
_SHARE, _UNKNOWN_FREE = 0.5, 4_000_000_000


class Room:
    """The memory that a table may take.

    Args:
        name: Of the file.
        max_memory: In bytes; None takes half of what is free.
    """

    def __init__(self, name: str, max_memory: float | None = None) -> None:
        self.name = name
        free = free_bytes() or _UNKNOWN_FREE
        self.most = int(_SHARE * free if max_memory is None else max_memory)

    def rows(self, columns: int, file_bytes: int) -> int:
        """Returns how many rows of a text file there is room for."""
        return max(0, self.most - file_bytes) // (CELL_BYTES * max(1, columns))

    def check(self, cells: int, content: int) -> None:
        """Checks that there is room for cells, and for the bytes of their content.

        Raises:
            InputError: There is not.
        """
        needed = CELL_BYTES * cells + content
        if needed > self.most:
            self.refuse(f"{cells:,} cells, {needed / 1e9:,.2f} GB")

    def check_parquet(self, metadata: Any) -> None:
        """Checks what a Parquet file says of itself: values of every column chunk, unpacked bytes.

        Raises:
            InputError: There is no room for it.
        """
        groups = [metadata.row_group(index) for index in range(metadata.num_row_groups)]
        values = sum(g.column(i).num_values for g in groups for i in range(g.num_columns))
        self.check(
            max(values, metadata.num_rows * len(metadata.schema.names)),
            sum(group.total_byte_size for group in groups),
        )

    def refuse(self, found: str) -> NoReturn:
        """Says that a table is too large.

        Raises:
            InputError: Always.
        """
        raise InputError(
            f"'{self.name}' holds {found} in memory; {self.most / 1e9:,.2f} GB are the most.",
            hint="Keep fewer rows or columns, or allow more, in bytes: load(…, max_memory=16e9).",
        )
