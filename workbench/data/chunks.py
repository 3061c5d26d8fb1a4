"""Reading large arrays in pieces, so that memory stays bounded."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

CHUNK_BYTES = 16 << 20


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
