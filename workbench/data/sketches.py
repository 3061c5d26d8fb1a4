"""Small pictures of samples by which copies are found: digests, difference hashes, rounded rows."""

from __future__ import annotations

import hashlib

import numpy as np

from workbench.data.modality import Sketch

_HASH = (8, 9)
_THUMB = (16, 16)


def exact_keys(prepared: np.ndarray) -> np.ndarray:
    """Returns 64 bits of BLAKE2 of each sample's bytes, uint64 (n,)."""
    rows = np.ascontiguousarray(prepared).reshape(len(prepared), -1)
    digests = (hashlib.blake2b(row.tobytes(), digest_size=8).digest() for row in rows)
    return np.frombuffer(b"".join(digests), np.uint64)


def image_sketch(prepared: np.ndarray, low: float, high: float) -> Sketch:
    """Returns difference hashes and thumbnails of pictures (n, channels, height, width).

    The hash has a bit for each neighboring pair of an 8×9 thumbnail: is the right one brighter?
    (N. Krawetz, "Kind of like that", 2013).
    """
    gray = prepared.astype(np.float32).mean(1)
    small = _shrunk(gray, _HASH)
    bits = (np.diff(small, axis=2) > 0).reshape(len(gray), -1)
    thumbs = (_shrunk(gray, _THUMB) - low) * (255 / (high - low))
    return Sketch(
        exact_keys(prepared),
        np.packbits(bits, axis=1).view(np.uint64).reshape(-1),
        np.clip(thumbs, 0, 255).astype(np.uint8).reshape(len(gray), -1),
    )


def row_sketch(prepared: np.ndarray, scale: np.ndarray) -> Sketch:
    """Returns keys of rows (n, features), rounded to a hundredth of `scale` for the near ones."""
    rounded = np.round(prepared / scale * 100).astype(np.int64).view(np.uint64)
    weights = np.random.default_rng(0).integers(1, 2**63, rounded.shape[1], np.uint64) | 1
    near = (rounded * weights).sum(1, dtype=np.uint64)
    return Sketch(exact_keys(prepared), near)


def _shrunk(pictures: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    down = _areas(pictures.shape[1], size[0])
    across = _areas(pictures.shape[2], size[1])
    return np.asarray(down @ pictures @ across.T)


def _areas(length: int, parts: int) -> np.ndarray:
    """Returns the weights (parts, length) that average `length` pixels into `parts` by area."""
    edges = np.linspace(0, length, parts + 1)
    starts = np.arange(length)
    overlap = np.minimum(edges[1:, None], starts + 1) - np.maximum(edges[:-1, None], starts)
    weights = np.maximum(overlap, 0)
    return np.asarray(weights / weights.sum(1, keepdims=True), np.float32)
