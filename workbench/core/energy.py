"""Processor time and energy of a stretch of work: from a counter that can be read, never a guess.

The counter is the kernel's powercap interface to RAPL, in microjoules for each processor package;
most systems let only root read it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

POWERCAP = Path("/sys/class/powercap")
NO_COUNTER = "no readable energy counter"
COUNTED = "RAPL, all processor packages, whatever else ran on them included"
_UJ = 1e6


@dataclass
class Spent:
    """What a stretch of work took; complete when it has ended.

    Attributes:
        cpu_seconds: Processor time of this process, user and system.
        energy_j: Of the processor packages meanwhile; None without a readable counter.
        method: How the energy was found, or why not.
    """

    cpu_seconds: float = 0.0
    energy_j: float | None = None
    method: str = NO_COUNTER


@contextmanager
def metered(root: Path = POWERCAP) -> Iterator[Spent]:
    """Yields a record that is filled in when the work inside has ended.

    Args:
        root: Folder of the power-capping zones.
    """
    spent = Spent()
    before, began = _read(root), time.process_time()
    try:
        yield spent
    finally:
        spent.cpu_seconds = time.process_time() - began
        after = _read(root)
        if before and before.keys() == after.keys():
            spent.energy_j = sum(_used(zone, before[zone], after[zone]) for zone in before)
            spent.method = COUNTED


def _read(root: Path) -> Mapping[Path, int]:
    """Returns the microjoules of each package; nothing unless all of them can be read."""
    try:
        zones = [z for z in root.glob("*") if (z / "name").read_text().startswith("package")]
        return {zone: int((zone / "energy_uj").read_text()) for zone in sorted(zones)}
    except (OSError, ValueError):
        return {}


def _used(zone: Path, before: int, after: int) -> float:
    """Returns joules; the counter starts again from 0 after its largest value."""
    if after < before:
        after += int((zone / "max_energy_range_uj").read_text())
    return (after - before) / _UJ
