"""Low-rank factors of weights, by truncated SVD. Pure NumPy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Factors:
    """Two weights whose product approximates one.

    Attributes:
        kind: "as two matrices", "by channel" or "spatially".
        first: Weight of the first operator, in its layout.
        second: Weight of the second operator.
        rank: Of the product.
        full_rank: What it could be at most.
        energy: Share of the squared singular values that is kept.
    """

    kind: str
    first: np.ndarray
    second: np.ndarray
    rank: int
    full_rank: int
    energy: float

    @property
    def parameters(self) -> int:
        """Values in both weights."""
        return self.first.size + self.second.size


def of_matrix(matrix: np.ndarray, keep: int | float) -> Factors:
    """Returns factors [inputs, rank] and [rank, outputs] of a matrix [inputs, outputs].

    Args:
        matrix: The weight.
        keep: Rank (int), or the least share of energy to keep (float).
    """
    left, right, full, energy = _truncated(matrix, keep)
    return Factors("as two matrices", left, right, len(right), full, energy)


def by_channel(weight: np.ndarray, keep: int | float) -> Factors:
    """Returns a convolution [rank, inputs, …] and a 1×1 one [outputs, rank, 1, …]."""
    left, right, full, energy = _truncated(weight.reshape(len(weight), -1), keep)
    first = right.reshape(-1, *weight.shape[1:])
    second = left.reshape(*left.shape, *[1] * (weight.ndim - 2))
    return Factors("by channel", first, second, len(right), full, energy)


def spatially(weight: np.ndarray, keep: int | float) -> Factors:
    """Returns convolutions [rank, inputs, height, 1] and [outputs, rank, 1, width]."""
    outputs, inputs, height, width = weight.shape
    matrix = weight.transpose(1, 2, 0, 3).reshape(inputs * height, outputs * width)
    left, right, full, energy = _truncated(matrix, keep)
    first = left.T.reshape(-1, inputs, height, 1)
    second = right.reshape(-1, outputs, 1, width).transpose(1, 0, 2, 3)
    return Factors("spatially", first, np.ascontiguousarray(second), len(right), full, energy)


def best(found: Sequence[Factors], parameters: int, keep: int | float) -> Factors | None:
    """Returns the factors to take; None if none has fewer than `parameters`.

    For a given energy these are the smallest, for a given rank those that keep most.
    """
    smaller = [item for item in found if item.parameters < parameters]
    if isinstance(keep, int):
        return max(smaller, key=lambda item: item.energy, default=None)
    return min(smaller, key=lambda item: item.parameters, default=None)


def _truncated(matrix: np.ndarray, keep: int | float) -> tuple[np.ndarray, np.ndarray, int, float]:
    """Returns left [m, rank], right [rank, n], the full rank, and the share of energy kept."""
    left, values, right = np.linalg.svd(matrix.astype(np.float64), full_matrices=False)
    energy = np.cumsum(values**2) / max(float((values**2).sum()), np.finfo(float).tiny)
    rank = keep if isinstance(keep, int) else int(np.searchsorted(energy, keep)) + 1
    rank = min(rank, len(values))
    root = np.sqrt(values[:rank])
    factors = ((left[:, :rank] * root), (right[:rank] * root[:, None]))
    first, second = (np.ascontiguousarray(part, np.float32) for part in factors)
    return first, second, len(values), float(energy[rank - 1])
