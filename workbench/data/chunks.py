"""Reading large arrays in pieces, so that memory stays bounded."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

CHUNK_BYTES = 4 << 20


def rows_per_chunk(sample_bytes: int) -> int:
    """Returns how many samples fit in a chunk: 1 to 1024."""
    return max(1, min(1024, CHUNK_BYTES // max(1, sample_bytes)))


def chunks(samples: Any) -> Iterator[slice]:
    """Yields slices that cover `samples`, an array or a list of arrays, chunk by chunk."""
    if not len(samples):
        return
    step = rows_per_chunk(np.asarray(samples[0]).nbytes)
    for start in range(0, len(samples), step):
        yield slice(start, min(start + step, len(samples)))


class StoredArray:
    """An .npy file read slice by slice: unlike a memory map, it leaves no pages in memory.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with path.open("rb") as file:
            np.lib.format.read_magic(file)
            self.shape, _, self.dtype = np.lib.format.read_array_header_1_0(file)
            self._start = file.tell()
        self._row_bytes = self.dtype.itemsize * int(np.prod(self.shape[1:]))

    def __len__(self) -> int:
        return int(self.shape[0])

    def __getitem__(self, index: int | slice) -> np.ndarray:
        rows = index if isinstance(index, slice) else slice(index, index + 1)
        with self._path.open("rb") as file:
            file.seek(self._start + rows.start * self._row_bytes)
            data = file.read((rows.stop - rows.start) * self._row_bytes)
        found = np.frombuffer(data, self.dtype).reshape(-1, *self.shape[1:])
        return found if isinstance(index, slice) else found[0]
