"""How many samples to compute at once, so that large images do not fill the memory. No torch."""

from __future__ import annotations

import math

_VALUES = 2**20
_LEAST = 8


def affordable_batch(sample_shape: tuple[int, ...], most: int) -> int:
    """Returns `most`, or the power of two (at least 8) at which a batch has about 10⁶ values.

    A network's inner layers hold some ten to a hundred times as many.

    Args:
        sample_shape: Shape of one prepared sample.
        most: Samples to take if they are small.
    """
    fitting = max(1, _VALUES // max(1, math.prod(sample_shape)))
    return min(most, max(_LEAST, 1 << (fitting.bit_length() - 1)))
