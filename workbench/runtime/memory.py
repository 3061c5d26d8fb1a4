"""Peak memory of this process, where the system tells it (Linux: VmHWM, which can be reset)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")
_RESET_PEAK = "5"
_KIB = 1024


@dataclass
class PeakMemory:
    """What `track_peak` found.

    Attributes:
        above_idle_bytes: Peak resident memory above that at the start; None if not known.
        reason: Why it is not known; empty if it is.
    """

    above_idle_bytes: int | None = None
    reason: str = "not finished"


@contextmanager
def track_peak() -> Iterator[PeakMemory]:
    """Yields a record that holds the peak resident memory of the block once it ends."""
    peak = PeakMemory()
    idle = _resident("VmRSS")
    was_reset = idle is not None and _reset_peak()
    yield peak
    high = _resident("VmHWM")
    if idle is None or high is None:
        peak.reason = "this system does not tell peak memory (Linux does, in /proc/self/status)"
    elif not was_reset:
        peak.reason = "this system does not let the peak be reset, so an earlier one may hide it"
    else:
        peak.above_idle_bytes, peak.reason = max(0, high - idle), ""


def _resident(field: str) -> int | None:
    try:
        lines = _STATUS.read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        if line.startswith(field + ":"):
            return int(line.split()[1]) * _KIB
    return None


def _reset_peak() -> bool:
    try:
        _CLEAR.write_text(_RESET_PEAK)
    except OSError:
        return False
    return True
