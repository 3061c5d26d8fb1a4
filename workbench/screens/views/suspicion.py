"""Samples whose neighbours bear another label: perhaps mislabelled, at least worth a look.

The score is the share of the k nearest training samples (Euclidean, on small pictures, itself left
out) with another label, as in Wilson's editing rule (1972, IEEE SMC-2, 408–421).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from workbench.data.dataset import Dataset
from workbench.screens.views.dataset import TILES, spread, tiles_of

_NEIGHBORS, _MOST, _SIDE = 7, 4000, 16


def gallery(dataset: Dataset, part: str, label: int | None) -> dict[str, Any]:
    """Returns the most suspicious samples of a part as tiles, worst first, each with its reason.

    Args:
        dataset: Of images with classes.
        part: "train", "val" or "test".
        label: Only samples of this class.
    """
    rows, shares, others = suspects(dataset, part)
    if label is not None:
        own = np.asarray(getattr(dataset, part).targets)[rows] == label
        rows, shares, others = rows[own], shares[own], others[own]
    order = np.argsort(-shares, kind="stable")[:TILES]
    targets = np.asarray(getattr(dataset, part).targets)[rows[order]]
    notes = [
        _words(dataset.labels, *facts)
        for facts in zip(shares[order], others[order], targets, strict=True)
    ]
    shown = tiles_of(dataset, part, rows[order])
    return shown | {"label": label, "order": "suspicion", "notes": notes}


def suspects(dataset: Dataset, part: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns row numbers (n,), shares of other labels 0..1 (n,), and the commonest neighbour (n,).

    At most 4,000 samples are looked at, against at most 4,000 of train, spread over the classes.
    """
    split, train = getattr(dataset, part), dataset.train
    rows = np.sort(spread(dataset, part, _MOST, None))
    base = np.sort(spread(dataset, "train", _MOST, None))
    known, labels = _small(train.inputs, base), np.asarray(train.targets)[base]
    asked, own = _small(split.inputs, rows), np.asarray(split.targets)[rows]
    nearest = _nearest(asked, known, is_same=part == "train" and np.array_equal(rows, base))
    votes = labels[nearest]
    shares = (votes != own[:, None]).mean(1)
    counts = np.stack([(votes == c).sum(1) for c in range(len(dataset.labels))], 1)
    return rows, shares, counts.argmax(1)


def _words(labels: tuple[str, ...], share: float, other: int, own: int) -> str:
    if not share:
        return ""
    count = round(_NEIGHBORS * float(share))
    return f"{count} of its {_NEIGHBORS} nearest are not {labels[own]}; most are {labels[other]}"


def _small(inputs: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Returns pictures as float32 vectors (n, d), at most 16 pixels a side."""
    tiles = np.asarray(inputs[rows], np.float32)
    step = max(1, -(-max(tiles.shape[2:]) // _SIDE))
    flat: np.ndarray = tiles[:, :, ::step, ::step].reshape(len(tiles), -1)
    return flat


def _nearest(asked: np.ndarray, known: np.ndarray, *, is_same: bool) -> np.ndarray:
    """Returns the k nearest rows of `known` for each of `asked`, (n, k)."""
    k = min(_NEIGHBORS, len(known) - is_same)
    far = (asked**2).sum(1)[:, None] - 2 * asked @ known.T + (known**2).sum(1)[None]
    if is_same:
        np.fill_diagonal(far, np.inf)
    return np.argpartition(far, k - 1, axis=1)[:, :k]
