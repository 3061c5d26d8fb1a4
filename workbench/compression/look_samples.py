"""Which samples a quick look sees: those that small changes can flip, and some of all others.

Small drops come from samples that the baseline decides narrowly. So samples are taken with a
probability that falls with the rank of the baseline's margin, and weighted with its inverse
(Horvitz and Thompson 1952, doi:10.1080/01621459.1952.10483446). NumPy only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_LEAST = 0.5


@dataclass(frozen=True)
class LookSamples:
    """Some samples of a split.

    Attributes:
        indices: Into the split, ascending [n].
        weights: Of each; they add up to 1 [n].
        chances: With which each was taken [n].
    """

    indices: np.ndarray
    weights: np.ndarray
    chances: np.ndarray


def spread_evenly(total: int, count: int) -> LookSamples:
    """Returns `count` of `total` samples, all alike."""
    indices = np.unique(np.linspace(0, total - 1, min(count, total)).round().astype(int))
    count = len(indices)
    return LookSamples(indices, np.full(count, 1 / count), np.full(count, count / total))


def by_margin(margins: np.ndarray, count: int, start: float) -> LookSamples:
    """Returns `count` samples, most of them decided narrowly.

    Args:
        margins: How narrowly the baseline decides each sample [N].
        count: Samples wanted; all if there are no more.
        start: In [0, 1); other starts give other samples, evenly spaced ones share the fewest.
    """
    total = len(margins)
    if count >= total:
        return spread_evenly(total, total)
    order = np.argsort(margins, kind="stable")
    chances = _chances(total, count)
    places = np.cumsum(chances)
    picked = np.searchsorted(places, np.arange(start, places[-1], 1.0))
    picked = np.unique(np.minimum(picked, total - 1))
    weights = 1 / chances[picked]
    indices = order[picked]
    back = np.argsort(indices)
    return LookSamples(indices[back], (weights / weights.sum())[back], chances[picked][back])


def _chances(total: int, count: int) -> np.ndarray:
    """Returns each rank's chance: 1 for the first, then falling, never below half of even."""
    ranks = np.arange(1, total + 1)
    low, high = 0.0, float(total)
    for _ in range(60):
        reach = (low + high) / 2
        chances = np.clip(reach / ranks, _LEAST * count / total, 1.0)
        low, high = (low, reach) if chances.sum() > count else (reach, high)
    return chances
