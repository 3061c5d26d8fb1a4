"""Shadow traffic: a second version gets copies of requests; its answers are compared, never sent.

The copy is made after the caller has its answer. At most a few copies wait; the others are dropped
and counted, so that a slow or stuck shadow costs the callers nothing.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.core.errors import WorkbenchError
from workbench.core.records import Description
from workbench.serving.batching import Job, Outputs
from workbench.serving.served import Served
from workbench.serving.tensors import check_tensors
from workbench.tasks import TASKS

OUTCOMES = ("agreed", "differed", "failed", "dropped")
_MOST_WAITING = 8
_MOST_COMPARED = 100_000
Decide = Callable[[NDArray[Any]], NDArray[Any] | None]
_STEP = (math.sqrt(5) - 1) / 2


@dataclass
class ShadowCounts:
    """What came of the copies. `max_difference` is over the first output, absolute."""

    outcomes: dict[str, int] = field(default_factory=lambda: dict.fromkeys(OUTCOMES, 0))
    max_difference: float | None = None


class Mirror:
    """Copies the answered requests of one version to another.

    Args:
        shadow: The version to compare.
        counts: Filled.
        share: Of the requests, 0 to 1.
        description: Of the answering version; tells whether labels are compared.
    """

    def __init__(
        self, shadow: Served, counts: ShadowCounts, share: float, description: Description | None
    ) -> None:
        self._shadow = shadow
        self._counts = counts
        self._share = share
        self._decide = None if description is None else TASKS.get(description.task).decisions
        self._place = random.random()
        self._waiting = 0

    def offer(self, job: Job) -> None:
        """Copies an answered job, or drops the copy; on the event loop, never raises."""
        self._place = (self._place + _STEP) % 1.0
        expected = job.outputs
        if self._place >= self._share or expected is None:
            return
        if max(self._waiting, self._shadow.batcher.pending) >= _MOST_WAITING:
            self._counts.outcomes["dropped"] += 1
            return
        try:
            rows = check_tensors(self._shadow.signature, job.inputs)
            self._shadow.batcher.submit(job.inputs, rows, lambda done: self._done(done, expected))
        except WorkbenchError:
            self._counts.outcomes["failed"] += 1
            return
        self._waiting += 1

    def _done(self, job: Job, expected: Outputs) -> None:
        self._waiting -= 1
        counts = self._counts
        if job.outputs is None:
            counts.outcomes["failed"] += 1
            return
        agrees, difference = compare(expected, job.outputs, self._decide)
        counts.outcomes["agreed" if agrees else "differed"] += 1
        if difference is not None:
            counts.max_difference = max(difference, counts.max_difference or 0.0)


def compare(
    expected: Outputs, got: Outputs, decide: Decide | None = None
) -> tuple[bool, float | None]:
    """Returns whether two answers agree, and the largest absolute difference of the first output.

    Args:
        expected: The outputs that were answered.
        got: The outputs of the shadow.
        decide: What is answered [N], to be the same; where it says None, equal within 0.1 %.
    """
    one, other = next(iter(expected.values())), next(iter(got.values()))
    if one.shape != other.shape:
        return False, None
    if one.dtype.kind not in "fiub" or other.dtype.kind not in "fiub":
        return bool(np.array_equal(one, other)), None
    left, right = _some(one), _some(other)
    with np.errstate(invalid="ignore"):  # infinity less infinity
        difference = float(np.nanmax(np.abs(left - right), initial=0.0))
    if decide is not None and left.ndim > 1 and left.shape[-1] > 1:
        answers, others = decide(left), decide(right)
        if answers is not None and others is not None:
            return bool(np.array_equal(answers, others)), difference
    return bool(np.allclose(left, right, rtol=1e-3, atol=1e-6, equal_nan=True)), difference


def _some(value: NDArray[Any]) -> NDArray[Any]:
    """Returns as many leading rows as are compared on the event loop without being felt."""
    array = np.asarray(value, dtype=np.float64) if value.size <= _MOST_COMPARED else None
    if array is None:
        rows = max(1, _MOST_COMPARED * len(value) // value.size)
        array = np.asarray(value[:rows], dtype=np.float64)
    return array
