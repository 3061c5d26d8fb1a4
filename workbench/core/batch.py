"""A batch: one tensor, or several by name. The first axis of each counts the samples."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.core.errors import InputError

Tensor = NDArray[Any]
Batch = Tensor | Mapping[str, Tensor]
"""One tensor (N, …), or tensors by name, all with N rows."""


def named(batch: Batch, names: Sequence[str]) -> dict[str, Tensor]:
    """Returns the tensors of a batch by `names`, in their order; a single one takes the only name.

    What the batch has beside them is left out: a network need not take all that its data have.

    Raises:
        InputError: The batch lacks a name.
    """
    if type(batch) is np.ndarray and len(names) == 1:  # the common case, and what is timed
        return {names[0]: batch}
    if not isinstance(batch, Mapping):
        batch = {names[0]: batch}
    if set(batch) >= set(names):
        return {name: batch[name] for name in names}
    got, wanted = ", ".join(map(repr, batch)), ", ".join(map(repr, names))
    raise InputError(f"Got {got}; the tensors {wanted} are needed.")


def tensors(batch: Batch) -> tuple[Tensor, ...]:
    """Returns the tensors of a batch, in its order."""
    return tuple(batch.values()) if isinstance(batch, Mapping) else (batch,)


def count(batch: Batch) -> int:
    """Returns the number of samples."""
    return len(tensors(batch)[0])


def each(change: Callable[[Tensor], Tensor], batch: Batch) -> Batch:
    """Returns the batch with every tensor changed."""
    if isinstance(batch, Mapping):
        return {name: change(tensor) for name, tensor in batch.items()}
    return change(batch)


def rows(batch: Batch, index: Any) -> Batch:
    """Returns the samples at `index`: a slice, or an array of numbers or of truth values."""
    return each(lambda tensor: tensor[index], batch)


def joined(batches: Iterable[Batch]) -> Batch:
    """Returns the samples of several batches, all with the same names and sizes, as one.

    Raises:
        ValueError: There is none, or their sizes differ.
    """
    parts = list(batches)
    if parts and isinstance(parts[0], Mapping):
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return np.concatenate([part for part in parts if not isinstance(part, Mapping)])
