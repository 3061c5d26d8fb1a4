"""Is a sample answered alike whether it is alone or padded beside longer ones?"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

import numpy as np

_ROWS = 8
_TOLERANCE = 1e-3

Answer = Callable[[Any], Mapping[str, np.ndarray]]


class Rows(Protocol):
    """The part of a split that is needed."""

    def __len__(self) -> int: ...

    @property
    def is_padded(self) -> bool:
        """Whether any samples can be put into one batch."""

    def batch(self, indices: Any) -> tuple[Any, np.ndarray]:
        """Returns inputs and targets."""

    def batches(self, batch_size: int) -> Iterator[tuple[Any, np.ndarray]]:
        """Yields inputs and targets."""


def padding_notes(answer: Answer, split: Rows) -> tuple[str, ...]:
    """Returns a sentence for each output in which padding shows.

    Args:
        answer: A batch → all outputs by name.
        split: Samples that differ in size.
    """
    if not split.is_padded:
        return ()
    numbers = range(min(_ROWS, len(split)))
    together = answer(split.batch(np.array(numbers))[0])
    errors = dict.fromkeys(together, 0.0)
    for row in numbers:
        for name, alone in answer(split.batch(np.array([row]))[0]).items():
            own = together[name][row][tuple(slice(size) for size in alone.shape[1:])]
            errors[name] = max(errors[name], _error(own, alone[0]))
    return tuple(
        f"a sample padded beside longer ones is answered otherwise (error {error:.3g} in "
        f"'{name}'); let forward take the true sizes, as 'time_lengths', and pass over what lies "
        "behind"
        for name, error in errors.items()
        if error > _TOLERANCE
    )


def _error(own: np.ndarray, alone: np.ndarray) -> float:
    """Returns the largest difference, relative to the largest value where that is above one."""
    if own.shape != alone.shape:
        return float("inf")
    difference = np.abs(own.astype(np.float64) - alone.astype(np.float64)).max(initial=0.0)
    return float(difference / max(1.0, float(np.abs(alone.astype(np.float64)).max(initial=0.0))))
