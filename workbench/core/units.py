"""Sizes and durations as people write them: "60 kB", "2 min". kB = 1000 B, KiB = 1024 B."""

from __future__ import annotations

import math
import re

from workbench.core.errors import InputError

_AMOUNT = re.compile(r"\s*([0-9]+(?:[.,][0-9]+)?(?:[eE][+-]?[0-9]+)?)\s*([A-Za-z]*)\s*")
_BYTES = {
    "": 1, "b": 1, "kb": 1e3, "k": 1e3, "mb": 1e6, "m": 1e6, "gb": 1e9, "g": 1e9,
    "kib": 2**10, "mib": 2**20, "gib": 2**30,
}  # fmt: skip
_SECONDS = {
    "": 1, "s": 1, "sec": 1, "second": 1, "seconds": 1, "ms": 1e-3,
    "m": 60, "min": 60, "minute": 60, "minutes": 60, "h": 3600, "hour": 3600, "hours": 3600,
}  # fmt: skip


def parse_bytes(value: str | float) -> int:
    """Returns the bytes that "60 kB", "1.5 MB" or 60000 mean.

    Raises:
        InputError: It is no size, or not above 0.
    """
    return int(_parsed(value, _BYTES, "size", "'60 kB', '1.5 MB' or a number of bytes"))


def parse_seconds(value: str | float) -> float:
    """Returns the seconds that "60 s", "2 min" or 60 mean.

    Raises:
        InputError: It is no duration, or not above 0.
    """
    return _parsed(value, _SECONDS, "duration", "'60 s', '2 min' or a number of seconds")


def _parsed(value: str | float, units: dict[str, float], what: str, right: str) -> float:
    problem = InputError(f"{value!r} is no {what} above 0; {right} would be right.")
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise problem
    if isinstance(value, str):
        match = _AMOUNT.fullmatch(value)
        if match is None or match.group(2).lower() not in units:
            raise problem
        found = float(match.group(1).replace(",", ".")) * units[match.group(2).lower()]
    else:
        found = float(value)
    if not math.isfinite(found) or found <= 0:
        raise problem
    return found
