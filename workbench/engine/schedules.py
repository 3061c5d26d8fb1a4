"""Learning-rate schedules: plain functions of the step, so a resumed run needs no state."""

from __future__ import annotations

import math
from typing import Literal

Schedule = Literal["constant", "cosine", "step"]

_STEP_PARTS = 3
_STEP_FACTOR = 0.1


def rate_factor(schedule: Schedule, step: int, total: int, warmup: int = 0) -> float:
    """Returns the factor on the learning rate at `step` of `total`.

    "cosine" falls from 1 to 0 along half a cosine (Loshchilov and Hutter 2017,
    https://arxiv.org/abs/1608.03983); "step" falls tenfold after each third; warm-up rises
    linearly from 1 / warmup to 1 and comes first.

    Args:
        schedule: Its shape.
        step: Batches done, from 0.
        total: Batches in all.
        warmup: Batches of warm-up.
    """
    if step < warmup:
        return (step + 1) / warmup
    done = (step - warmup) / max(1, total - warmup)
    if schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * min(1.0, done)))
    if schedule == "step":
        return float(_STEP_FACTOR ** min(_STEP_PARTS - 1, int(done * _STEP_PARTS)))
    return 1.0
