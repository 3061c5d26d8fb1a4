"""Confirming a choice on samples that neither training nor search has seen.

Training has seen the train split, and every measurement the whole validation split: the best of
many measured there looks better than it is (the winner's curse). What is left is the test split.
It is read once, for the variant already chosen, and nothing is chosen by what it says.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from workbench.compression.tools import Split
from workbench.core.records import Interval
from workbench.evaluation import paired_difference
from workbench.runtime.session import open_session
from workbench.store import Context
from workbench.tasks import METRICS

_BATCH = 32
_SEED = 0


@dataclass(frozen=True)
class Confirmed:
    """A variant and its baseline on samples that no choice was made by.

    Attributes:
        metric: What the scores are.
        score: The variant's.
        baseline: The baseline's, on the same samples.
        difference: Score minus the baseline's, paired, with its 90 % interval.
        samples: How many; fewer than the split has if time ran out.
        higher_is_better: Whether a larger score is better.
        split: Where they are from.
    """

    metric: str
    score: float
    baseline: float
    difference: Interval
    samples: int
    higher_is_better: bool = True
    split: str = "test"

    def to_json(self) -> dict[str, Any]:
        """Returns the record as JSON-able values."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Confirmed:
        """Rebuilds a record from `to_json`."""
        return cls(**{**data, "difference": Interval(**data["difference"])})


def confirm(
    baseline: Path,
    variant: Path,
    split: Split,
    metric: str,
    context: Context,
    *,
    threads: int = 1,
    budget_s: float | None = None,
) -> Confirmed | None:
    """Scores two files on unseen samples; None if there are none.

    Args:
        baseline: The baseline's ONNX file.
        variant: The chosen one's.
        split: Samples; taken in a seeded random order as far as time reaches.
        metric: Key of the metric.
        context: Progress and stop.
        threads: Threads of the sessions.
        budget_s: Wall time; at least one batch is scored.
    """
    if not len(split):
        return None
    sessions = [open_session(path, threads) for path in (baseline, variant)]
    targets = np.asarray(split.targets)
    order = np.random.default_rng(_SEED).permutation(len(targets))
    began = time.monotonic()
    parts: list[list[np.ndarray]] = [[], []]
    done = 0
    while done < len(order):
        context.check()
        context.progress(done, len(order), "confirming on unseen samples")
        rows = order[done : done + _BATCH]
        for kept, session in zip(parts, sessions, strict=True):
            kept.append(session.run(split.batch(rows)[0]))
        done += len(rows)
        if budget_s is not None and time.monotonic() - began > budget_s:
            break
    before, after = (np.concatenate(kept) for kept in parts)
    wanted = targets[order[:done]]
    compute = METRICS.get(metric).compute
    return Confirmed(
        metric=metric,
        score=float(compute(after, wanted)),
        baseline=float(compute(before, wanted)),
        difference=paired_difference(metric, before, after, wanted),
        samples=done,
        higher_is_better=METRICS.get(metric).higher_is_better,
    )
