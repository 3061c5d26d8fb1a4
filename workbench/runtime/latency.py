"""Latency of several sessions, measured in turns, so a busy moment hits all alike. No torch."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from workbench.core.batch import Batch, count
from workbench.core.errors import InputError
from workbench.core.records import Interval
from workbench.runtime.session import Session

BLOCKS = 16
_T_95 = 2.131  # Student's t, two-sided 95 %, BLOCKS - 1 = 15 degrees of freedom
_NS_PER_MS = 1e6
_MIN_RUNS, _MAX_RUNS = 3, 60
NOTICEABLE = 0.02
_PARTS, _SETTLED = 4, NOTICEABLE / 2


@dataclass(frozen=True)
class Timing:
    """Latency of one session: milliseconds a call, over `runs` calls of `batch` samples."""

    p50_ms: float
    p95_ms: float
    runs: int
    batch: int
    threads: int


@dataclass(frozen=True)
class TimingComparison:
    """Timings by name; `ratios` are to the first name, each with a 95 % interval."""

    timings: Mapping[str, Timing]
    ratios: Mapping[str, Interval]

    def words(self, name: str) -> str:
        """Returns "no difference", or how many times the first one's latency `name` takes."""
        ratio = self.ratios[name]
        if not is_faster(ratio) and not is_slower(ratio):
            return "no difference"
        return f"×{ratio.value:.2f} the latency"


def is_faster(ratio: Interval) -> bool:
    """Returns whether the whole interval is noticeably (2 %) below 1."""
    return ratio.high < 1.0 - NOTICEABLE


def is_slower(ratio: Interval) -> bool:
    """Returns whether the whole interval is noticeably (2 %) above 1."""
    return ratio.low > 1.0 + NOTICEABLE


def measure_interleaved(
    sessions: Mapping[str, Session],
    batch: Batch,
    *,
    budget_s: float = 0.4,
    clock: Callable[[], int] = time.perf_counter_ns,
) -> TimingComparison:
    """Times all sessions on `batch`, in turns.

    The calls are cut into 16 blocks. In a block every session is called equally often, one after
    another, in an order that rotates. A block gives one ratio of medians; the interval is
    Student's t over the logarithms of the 16 block ratios, which slow drift does not fool. That is
    done with a quarter of the calls, and again until each ratio is known to 1 % or the time is
    over: a fixed-width interval (Chow and Robbins 1965, doi:10.1214/aoms/1177700156).

    Args:
        sessions: By name; the first is the one the ratios refer to.
        batch: Samples [N, …]: one tensor, or one for each input.
        budget_s: About how long to measure at most, in seconds; at least 3 calls a block are made.
        clock: Nanoseconds.
    """
    if not sessions:
        raise InputError("There is no session to measure; at least one would be right.")
    runs = _runs_in_block(sessions, batch, budget_s, clock)
    part = max(-(-runs // _PARTS), _MIN_RUNS)
    ms = _blocks(sessions, batch, part, clock)
    while ms.shape[2] + part <= runs and not _is_settled(ms):
        ms = np.concatenate([ms, _blocks(sessions, batch, part, clock)], axis=2)
    return _summary(sessions, ms, count(batch))


def _blocks(
    sessions: Mapping[str, Session], batch: Batch, runs: int, clock: Callable[[], int]
) -> np.ndarray:
    """Returns the milliseconds of each call [sessions, blocks, runs]."""
    names = list(sessions)
    elapsed = np.empty((len(names), BLOCKS, runs))
    for block in range(BLOCKS):
        for run in range(runs):
            for turn in range(len(names)):
                index = (turn + block + run) % len(names)
                start = clock()
                sessions[names[index]].run(batch)
                elapsed[index, block, run] = clock() - start
    return elapsed / _NS_PER_MS


def _is_settled(ms: np.ndarray) -> bool:
    """Returns whether all ratios to the first session are known well; never of a single one."""
    ratios = [ratio_interval(times, ms[0]) for times in ms[1:]]
    return bool(ratios) and all(math.log(r.high / r.value) <= _SETTLED for r in ratios)


def ratio_interval(elapsed: np.ndarray, reference: np.ndarray) -> Interval:
    """Returns the ratio of two timings [blocks, runs] with its 95 % interval."""
    medians = np.log(np.median(elapsed, axis=1)) - np.log(np.median(reference, axis=1))
    center = float(medians.mean())
    half = _T_95 * float(medians.std(ddof=1)) / math.sqrt(len(medians))
    return Interval(math.exp(center), math.exp(center - half), math.exp(center + half))


def _runs_in_block(
    sessions: Mapping[str, Session], batch: Batch, budget_s: float, clock: Callable[[], int]
) -> int:
    start = clock()
    for session in sessions.values():
        session.warm(batch, runs=3)
    one_round_s = max((clock() - start) / 3e9, 1e-7)
    return int(min(max(budget_s / BLOCKS / one_round_s, _MIN_RUNS), _MAX_RUNS))


def _summary(sessions: Mapping[str, Session], ms: np.ndarray, batch: int) -> TimingComparison:
    timings = {}
    for (name, session), times in zip(sessions.items(), ms, strict=True):
        p50, p95 = np.percentile(times, [50, 95])
        timings[name] = Timing(float(p50), float(p95), times.size, batch, session.threads)
    ratios = {name: ratio_interval(times, ms[0]) for name, times in zip(sessions, ms, strict=True)}
    return TimingComparison(timings, ratios)
