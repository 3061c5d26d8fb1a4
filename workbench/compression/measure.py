"""Measures one ONNX file as it would be deployed: score, sizes, latency, and why, in words."""

from __future__ import annotations

import getpass
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from workbench.compression.reasons import Figures, describe
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
        reason: What is gained and lost, in words.
    """

    baseline: Timing
    timing: Timing
    ratio: Interval
    reason: str


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


def figures_of(path: Path, timing: Timing, operators: Sequence[OperatorTime] = ()) -> Figures:
    """Returns one file's sizes and times."""
    data = path.read_bytes()
    return Figures(len(data), stored_bytes(data), timing.p50_ms, operators)


def time_pair(
    baseline: Path, variant: Path, batch: np.ndarray, *, threads: int, budget_s: float
) -> TimedPair:
    """Times two files in turns, alone on this host, and says why the second is not faster.

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
    first, second = compared.timings[_BASELINE], compared.timings[name]
    reason = ""
    if name == _VARIANT:
        before = figures_of(baseline, first, profiles[0])
        reason = describe(before, figures_of(variant, second, profiles[1]), ratio)
    return TimedPair(first, second, ratio, reason)
