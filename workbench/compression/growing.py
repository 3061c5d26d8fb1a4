"""Scoring on a growing paired sample: what clearly loses too much is not scored to its end.

After 128, 256, 512, … samples the paired difference to the baseline is looked at; as soon as even
the good end of its interval loses more than allowed, the variant is refused. The level of each
look is raised so that all looks together refuse a good variant at most once in ten (Bonferroni).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from workbench.compression.tools import Split
from workbench.evaluation import paired_difference
from workbench.runtime.session import Session
from workbench.store import Context
from workbench.tasks import METRICS

_FIRST = 128
_BATCH = 64
_WRONG = 0.1


@dataclass(frozen=True)
class Refused:
    """A variant that was given up early. It is no measurement, and never shown as one.

    Attributes:
        recipe: Canonical text.
        drop: How much worse it scored, in the metric's units, on `samples` samples.
        at_least: The good end of the interval of `drop`.
        samples: Validation samples it was scored on.
    """

    recipe: str
    drop: float
    at_least: float
    samples: int

    def to_json(self) -> dict[str, Any]:
        """Returns the record as JSON-able values."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Refused:
        """Rebuilds a record from `to_json`."""
        return cls(**data)


def stages(total: int) -> list[int]:
    """Returns after how many samples to look: doubling, and all of them at the end."""
    found = []
    count = _FIRST
    while count < total:
        found.append(count)
        count *= 2
    return [*found, total]


def outputs_or_refusal(
    session: Session,
    split: Split,
    before: np.ndarray,
    metric: str,
    max_drop: float,
    context: Context,
    seed: int = 0,
) -> np.ndarray | tuple[float, float, int]:
    """Returns the outputs [N, …] on a whole split, or (drop, its good end, samples) of a refusal.

    Args:
        session: The variant.
        split: Samples; taken in a seeded random order.
        before: The baseline's outputs on the split [N, …].
        metric: Key of the metric.
        max_drop: Largest accepted drop, in the metric's units.
        context: Stop.
        seed: Of the order.
    """
    targets = np.asarray(split.targets)
    order = np.random.default_rng(seed).permutation(len(targets))
    sign = -1.0 if METRICS.get(metric).higher_is_better else 1.0
    looks = stages(len(targets))
    outputs: np.ndarray = np.zeros(0)
    done = 0
    for count in looks:
        for start in range(done, count, _BATCH):
            context.check()
            rows = np.sort(order[start : min(start + _BATCH, count)])
            part = session.run(split.batch(rows)[0])
            if not len(outputs):
                outputs = np.zeros((len(targets), *part.shape[1:]), part.dtype)
            outputs[rows] = part
        done = count
        if count == len(targets):
            break
        seen = order[:count]
        change = paired_difference(
            metric, before[seen], outputs[seen], targets[seen], confidence=1 - _WRONG / len(looks)
        )
        ends = sorted((sign * change.low, sign * change.high))
        if ends[0] > max_drop:
            return sign * change.value, ends[0], count
    return outputs
