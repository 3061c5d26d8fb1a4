"""Measures one ONNX file as it would be deployed: score, sizes, latency, and why, in words."""

from __future__ import annotations

import getpass
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from workbench.compression.tools import Split
from workbench.core import optional
from workbench.core.host import FileLock
from workbench.core.records import Interval
from workbench.runtime.latency import Timing, is_faster, measure_interleaved
from workbench.runtime.profile import OperatorTime, profile_session
from workbench.runtime.session import Session, open_session
from workbench.store import Context

_SCORE_BATCH = 64
_ZSTD_LEVEL = 9
_BASELINE, _VARIANT = "baseline", "variant"


@dataclass(frozen=True)
class TimedPair:
    """A variant's timing beside its baseline's.

    Attributes:
        baseline: The baseline's, in the same minute.
        timing: The variant's.
        ratio: To the baseline.
        before: The baseline's operators; empty where the variant is faster.
        after: The variant's operators, likewise.
    """

    baseline: Timing
    timing: Timing
    ratio: Interval
    before: Sequence[OperatorTime] = ()
    after: Sequence[OperatorTime] = ()


def measuring_lock() -> FileLock:
    """Returns the lock that lets one process at a time measure on this host (for this user).

    It is held only while something is timed: parallel measurements spoil each other.
    """
    folder = Path(tempfile.gettempdir()) / f"workbench-{getpass.getuser()}"
    return FileLock(folder / "measuring.lock")


def outputs_on(session: Session, split: Split, context: Context) -> np.ndarray:
    """Returns the outputs float32 [N, …] over a whole split, in its order."""
    parts = []
    for inputs, _ in split.batches(_SCORE_BATCH):
        context.check()
        parts.append(session.run(inputs))
    return np.concatenate(parts)


def stored_bytes(data: bytes) -> int:
    """Returns the size of `data` after zstd (level 9)."""
    zstd = optional.require("zstandard", for_="the stored size of a model")
    return len(zstd.ZstdCompressor(level=_ZSTD_LEVEL).compress(data))


def time_pair(
    baseline: Path, variant: Path, batch: np.ndarray, *, threads: int, budget_s: float
) -> TimedPair:
    """Times two files in turns, alone on this host; profiles both where the second is no faster.

    Args:
        baseline: The file to compare with.
        variant: The file to measure; may be the same one.
        batch: Input, float32 [N, …].
        threads: Threads inside an operator.
        budget_s: About how long to measure.
    """
    sessions = {_BASELINE: open_session(baseline, threads)}
    if variant != baseline:
        sessions[_VARIANT] = open_session(variant, threads)
    with measuring_lock():
        compared = measure_interleaved(sessions, batch, budget_s=budget_s)
        name = list(sessions)[-1]
        ratio = compared.ratios[name]
        profiles: list[Sequence[OperatorTime]] = [(), ()]
        if name == _VARIANT and not is_faster(ratio):
            profiles = [profile_session(p, batch, threads=threads) for p in (baseline, variant)]
    return TimedPair(compared.timings[_BASELINE], compared.timings[name], ratio, *profiles)
