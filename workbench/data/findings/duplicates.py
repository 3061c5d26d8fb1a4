"""Copies across splits: what was trained on must not be what is tested on."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from workbench.core.records import Finding
from workbench.data.modality import Sketch
from workbench.data.split import PARTS

_SHOWN = 20
_NEIGHBORS = 8
_BITS = 3
_BANDS = 4
_THUMB_DIFFERENCE = 5.0  # of 255, mean over the thumbnail


def find_duplicates(
    sketch: Sketch, codes: np.ndarray, place: Callable[[int], str]
) -> tuple[Finding, ...]:
    """Returns a finding for exact and one for near copies between splits.

    Sorting and looking at neighbors, so 200,000 samples take seconds: a near copy in a crowd of
    look-alikes may be missed, an exact one never.

    Args:
        sketch: Keys of all samples.
        codes: int8 (n,): the part of each sample.
        place: Where sample i came from, in words.
    """
    exact = _equal_pairs(sketch.exact, codes)
    if sketch.thumbs is None:
        near = _equal_pairs(sketch.near, codes)
    else:
        near = _similar_pairs(sketch.near, sketch.thumbs, codes)
    known = set(exact[:, 1].tolist())
    near = near[[later not in known for later in near[:, 1].tolist()]] if len(near) else near
    found = (
        _finding("duplicates", "an exact copy", exact, codes, place),
        _finding("near_duplicates", "nearly a copy", near, codes, place),
    )
    return tuple(finding for finding in found if finding is not None)


def _equal_pairs(keys: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Returns pairs (sample of the first part, its copy in a later part), (k, 2)."""
    order = np.lexsort((codes, keys))
    starts = np.r_[True, np.diff(keys[order]) != 0]
    firsts = order[np.maximum.accumulate(np.where(starts, np.arange(len(order)), 0))]
    differ = codes[firsts] != codes[order]
    return np.stack([firsts[differ], order[differ]], 1)


def _similar_pairs(hashes: np.ndarray, thumbs: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Returns pairs whose hashes differ in few bits and whose thumbnails agree, (k, 2).

    Two hashes that differ in at most 3 bits are equal in one of 4 bands of 16 bits: sorted by
    that band first, they lie close together.
    """
    found = []
    for band in range(_BANDS):
        turned = _rotated(hashes, 16 * band)
        order = np.argsort(turned, kind="stable")
        for step in range(1, min(_NEIGHBORS, len(order) - 1) + 1):
            left, right = order[:-step], order[step:]
            alike = np.bitwise_count(hashes[left] ^ hashes[right]) <= _BITS
            alike &= codes[left] != codes[right]
            found.append(_confirmed(np.stack([left[alike], right[alike]], 1), thumbs))
    pairs = np.concatenate(found) if found else np.zeros((0, 2), np.int64)
    swap = codes[pairs[:, 0]] > codes[pairs[:, 1]]
    pairs[swap] = pairs[swap][:, ::-1]
    _, once = np.unique(pairs[:, 1], return_index=True)
    return pairs[once]


def _rotated(hashes: np.ndarray, bits: int) -> np.ndarray:
    if not bits:
        return hashes
    return (hashes << np.uint64(bits)) | (hashes >> np.uint64(64 - bits))


def _confirmed(pairs: np.ndarray, thumbs: np.ndarray) -> np.ndarray:
    kept = []
    for start in range(0, len(pairs), 65536):
        some = pairs[start : start + 65536]
        left, right = (thumbs[some[:, side]].astype(np.int16) for side in (0, 1))
        kept.append(some[np.abs(left - right).mean(1) <= _THUMB_DIFFERENCE])
    return np.concatenate(kept) if kept else pairs


def _finding(
    kind: str, what: str, pairs: np.ndarray, codes: np.ndarray, place: Callable[[int], str]
) -> Finding | None:
    if not len(pairs):
        return None
    shown = sorted(pairs.tolist(), key=lambda pair: pair[1])[:_SHOWN]
    names = {i: f"{place(i)} ({PARTS[codes[i]]})" for pair in shown for i in pair}
    counts = {
        name: int((codes[pairs[:, 1]] == part).sum()) for part, name in enumerate(PARTS) if part
    }
    where = " and ".join(f"{count} in {name}" for name, count in counts.items() if count)
    return Finding(
        kind,
        f"{where} {'is' if len(pairs) == 1 else 'are'} {what} of a sample in an earlier split: "
        "scores there are too good. Remove copies, or keep them together.",
        places=tuple(f"{names[later]} = {names[first]}" for first, later in shown),
    )
