"""How much memory decoding may take: of one request, and of all of this process at once."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from workbench.core.errors import InputError, OverloadedError
from workbench.data.modality import Modality, cannot_be_read, indexed
from workbench.data.picture_file import IN_REQUEST, PictureLimits
from workbench.serving.crew import while_wanted

_COPIES, _FLOAT32 = 2, 4  # decoded samples, and the batch that they are put into
_HINT = (
    "Send smaller or fewer ones, or start the endpoint with larger --max-picture-pixels and "
    "--max-decoding."
)


@dataclass(frozen=True)
class DecodeLimits:
    """What decoding may take, as the headers of files tell before anything is decoded.

    Attributes:
        picture: What one picture may be.
        request_bytes: What the samples of one request may take, one after the other.
        at_once_bytes: What all requests under way may take together.
    """

    picture: PictureLimits = IN_REQUEST
    request_bytes: int = 1_000_000_000
    at_once_bytes: int = 500_000_000


def limits_for(pixels: int, at_once_bytes: int) -> DecodeLimits:
    """Returns limits of which one picture takes half, and one request twice what all may at once.

    Args:
        pixels: Most of one picture.
        at_once_bytes: What all requests under way may take together.
    """
    picture = PictureLimits(pixels, at_once_bytes // 2, IN_REQUEST.frames)
    return DecodeLimits(picture, 2 * at_once_bytes, at_once_bytes)


class DecodingRoom:
    """Counts what decoding takes in this process. Used by all models and threads of it.

    Args:
        limits: What it may take.
    """

    def __init__(self, limits: DecodeLimits | None = None) -> None:
        self.limits = limits or DecodeLimits()
        self._lock = threading.Lock()
        self._taken = 0

    @contextmanager
    def taken(self, modality: Modality, samples: Sequence[Any], config: Any) -> Iterator[None]:
        """Holds what decoding these samples one after the other takes.

        Raises:
            InputError: Samples, each by itself or all together, are beyond the limits.
            OverloadedError: Others are decoding, and there is no room for these beside them.
        """
        size = self._size(modality, samples, config)
        with self._lock:
            if self._taken and self._taken + size > self.limits.at_once_bytes:
                raise OverloadedError(
                    f"Decoding takes {_mb(self._taken)} just now, these inputs {_mb(size)} more; "
                    f"{_mb(self.limits.at_once_bytes)} are the most.",
                    hint="Try again after the time in Retry-After.",
                    context={"retry_after_s": 1},
                )
            self._taken += size
        try:
            yield
        finally:
            with self._lock:
                self._taken -= size

    def _size(self, modality: Modality, samples: Sequence[Any], config: Any) -> int:
        if isinstance(samples, np.ndarray):
            return 0
        weights = self._weights(modality, samples, config)
        result = _COPIES * _FLOAT32 * _values(modality, config) * len(samples)
        if sum(weights) and sum(weights) + result > self.limits.request_bytes:
            raise InputError(
                f"Decoding these {len(samples):,} inputs takes {_mb(sum(weights) + result)}; "
                f"{_mb(self.limits.request_bytes)} are the most for one request.",
                hint=_HINT,
            )
        return max(weights, default=0) + (result if any(weights) else 0)

    def _weights(self, modality: Modality, samples: Sequence[Any], config: Any) -> list[int]:
        weights, problems, is_limit = [], [], False
        for index, sample in enumerate(while_wanted(samples)):
            try:
                weights.append(modality.weigh(sample, config, self.limits.picture))
            except InputError as error:
                problems.extend(indexed(error, index, len(samples)))
                is_limit = is_limit or "limit" in error.context
        if problems:
            count = len(samples) - len(weights)
            hint = _HINT if is_limit else ""
            raise InputError(cannot_be_read(count, "input"), problems=problems, hint=hint)
        return weights


def _values(modality: Modality, config: Any) -> int:
    """Returns how many values a decoded sample has at least: free sizes count as 1."""
    return sum(
        math.prod(dim for dim in spec.shape if isinstance(dim, int))
        for spec in modality.signature(config)
    )


def _mb(count: int) -> str:
    return f"{count / 1e6:,.0f} MB"
