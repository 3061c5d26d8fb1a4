"""What goes wrong with callers and processes, again and again, while others go on being answered.

Each fault is one file's function: it returns the seconds until all was well again, or raises
`Broken` with what was not.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from statistics import median

from tests.soak import callers_fail, processes_fail
from tests.soak.saying import say
from tests.soak.steady import Broken
from tests.unit.serving import models

Fault = Callable[[], float]


def run(folder: Path, rounds: int) -> bool:
    """Makes every fault happen so many times; says what came of it; returns whether all held."""
    file = models.save_digits(folder / "digits.onnx")
    is_good = True
    for scene in (callers_fail.scene, callers_fail.crowded, processes_fail.scene):
        with scene(file, folder) as faults:
            for name, fault in faults.items():
                is_good &= _repeat(name, fault, rounds)
    return is_good


def _repeat(name: str, fault: Fault, rounds: int) -> bool:
    seconds: list[float] = []
    try:
        for _ in range(rounds):
            seconds.append(fault())
    except Broken as problem:
        say(f"{name}: BROKEN in round {len(seconds) + 1}: {problem}")
        return False
    say(
        f"{name}: {rounds} rounds, well again after {median(seconds):.2f} s (median), "
        f"{max(seconds):.2f} s at the most"
    )
    return True
