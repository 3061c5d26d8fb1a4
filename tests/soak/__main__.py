"""`make soak`: hours of use in minutes: made-up requests, load with swaps of version, faults.

    python -m tests.soak [load] [faults] [hostile] [fuzz] [--requests N] [--swaps N] [--rounds N]
                         [--inputs N] [--seed N]

Without a part all run, in full: 1,000,000 requests and 200 swaps, 50 rounds of every fault, bodies
that cost much, 1,000,000 made-up inputs. The exit code is 0 if every part held what it promises.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.soak import faults, fuzz, hostile, load
from tests.soak.saying import say

_PARTS = ("load", "faults", "hostile", "fuzz")


def main() -> int:
    """Runs the parts asked for; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.soak", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(_PARTS)}")
    parser.add_argument("--requests", type=int, default=1_000_000, help="of load, at the least")
    parser.add_argument("--swaps", type=int, default=200, help="of version, under load")
    parser.add_argument("--rounds", type=int, default=50, help="of each fault")
    parser.add_argument("--inputs", type=int, default=1_000_000, help="made-up requests")
    parser.add_argument("--seed", type=int, default=0, help="of the first round of inputs")
    asked = parser.parse_args()
    if unknown := set(asked.parts) - set(_PARTS):
        parser.error(f"no part {', '.join(sorted(unknown))}; there are {', '.join(_PARTS)}")
    runs: dict[str, Callable[[Path], bool]] = {
        "load": lambda folder: load.run(folder, asked.requests, asked.swaps),
        "faults": lambda folder: faults.run(folder, asked.rounds),
        "hostile": hostile.run,
        "fuzz": lambda folder: fuzz.run(folder, asked.inputs, asked.seed),
    }
    is_good = [_part(name, runs[name]) for name in asked.parts or _PARTS]
    return 0 if all(is_good) else 1


def _part(name: str, run: Callable[[Path], bool]) -> bool:
    say(f"== {name}")
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        is_good = run(Path(folder))
    say(f"== {name}: {'held' if is_good else 'NOT HELD'}, {time.monotonic() - began:.0f} s")
    return is_good


if __name__ == "__main__":
    sys.exit(main())
