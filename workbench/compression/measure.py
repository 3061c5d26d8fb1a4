"""Measures one ONNX file as it would be deployed: score, sizes, latency, and why, in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from workbench.compression.tools import Split
from workbench.core import optional
from workbench.core.batch import Batch, count
from workbench.core.energy import metered
from workbench.core.host import FileLock
from workbench.core.own_folder import own_folder
from workbench.core.records import Interval
from workbench.runtime.latency import Timing, is_faster, measure_interleaved
from workbench.runtime.profile import OperatorTime, profile_session
from workbench.runtime.session import Session, open_session
from workbench.store import Context

_SCORE_BATCH = 64
_ZSTD_LEVEL = 9
_CLOCKED_MS, _METERED_MS = 25.0, 100.0  # an energy counter moves once a millisecond
_PROFILED = 10  # the log of a call takes longer to read than the call
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
        cpu_s_per_1000: Processor seconds of 1,000 samples of the variant.
        energy_j_per_1000: Joules of the processor packages meanwhile; None without a counter.
    """

    baseline: Timing
    timing: Timing
    ratio: Interval
    before: Sequence[OperatorTime] = ()
    after: Sequence[OperatorTime] = ()
    cpu_s_per_1000: float | None = None
    energy_j_per_1000: float | None = None


def measuring_lock() -> FileLock:
    """Returns the lock that lets one process at a time of this user measure on this host.

    It is held only while something is timed: parallel measurements spoil each other. It is not
    shared between users, since whoever may open it can keep it for ever; what another user's
    measurement costs is seen as noise, as is any other work of theirs.
    """
    return FileLock(own_folder() / "measuring.lock")


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
    baseline: Path, variant: Path, batch: Batch, *, threads: int, budget_s: float
) -> TimedPair:
    """Times two files in turns, alone on this host; profiles both where the second is no faster.

    Args:
        baseline: The file to compare with.
        variant: The file to measure; may be the same one.
        batch: Samples [N, …].
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
            profiles = [
                profile_session(path, batch, threads=threads, runs=_PROFILED)
                for path in (baseline, variant)
            ]
        spent = _spent(sessions[name], batch, compared.timings[name].p50_ms)
    timings = compared.timings
    return TimedPair(
        timings[_BASELINE], timings[name], ratio, profiles[0], profiles[1], spent[0], spent[1]
    )


def _spent(session: Session, batch: Batch, call_ms: float) -> tuple[float, float | None]:
    """Returns processor seconds and joules of 1,000 samples; the latter need longer."""
    for about_ms in (_CLOCKED_MS, _METERED_MS):
        calls = int(min(max(about_ms / max(call_ms, 1e-6), 3), 2000))
        with metered() as spent:
            for _ in range(calls):
                session.run(batch)
        if spent.energy_j is None:
            break
    thousands = calls * count(batch) / 1000
    joules = None if spent.energy_j is None else spent.energy_j / thousands
    return spent.cpu_seconds / thousands, joules
