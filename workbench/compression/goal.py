"""What a search is to reach: a limit on the drop, on size and latency, and what to make small."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from workbench.compression.measured import Measured
from workbench.core.errors import InputError, did_you_mean
from workbench.core.units import parse_bytes, parse_seconds
from workbench.tasks import is_share

FIGURES = ("size_bytes", "latency_ms")
_HINT = (
    "As in search(max_drop=0.01, max_size='60 kB', max_latency_ms=2, minimize='size_bytes', "
    "budget='60 s'): one point of accuracy is 0.01."
)


@dataclass(frozen=True)
class Goal:
    """See the module's docstring.

    Attributes:
        max_drop: Largest accepted loss of the score, in the metric's own units.
        max_size: Largest accepted file in bytes; None for any.
        max_latency_ms: Largest accepted latency; None for any.
        minimize: "size_bytes" or "latency_ms".
        budget_s: Wall time for all, the confirmation included.
    """

    max_drop: float = 0.01
    max_size: int | None = None
    max_latency_ms: float | None = None
    minimize: str = "size_bytes"
    budget_s: float = 60.0

    def cost(self, measured: Measured) -> float:
        """Returns the figure to make small."""
        return float(getattr(measured, self.minimize))

    def excess(self, measured: Measured) -> dict[str, float]:
        """Returns how far each limit that is not kept is exceeded, as a share of the limit."""
        limits = {
            "max_drop": (drop_of(measured), max(self.max_drop, 1e-3)),
            "max_size": (float(measured.size_bytes), self.max_size),
            "max_latency_ms": (measured.latency_ms, self.max_latency_ms),
        }
        found = {}
        for name, (value, limit) in limits.items():
            bound = self.max_drop if name == "max_drop" else limit
            if limit is not None and bound is not None and value > bound + 1e-12:
                found[name] = (value - bound) / limit
        return found

    def best(self, variants: Iterable[Measured]) -> Measured:
        """Returns the best variant within all limits; if there is none, the nearest to them."""

        def rank(item: Measured) -> tuple[float, float, float]:
            over = self.excess(item)
            return (sum(over.values()), self.cost(item), drop_of(item))

        return min(variants, key=rank)

    def to_json(self) -> dict[str, Any]:
        """Returns the goal as JSON-able values."""
        return asdict(self)


def drop_of(measured: Measured) -> float:
    """Returns how much worse than the baseline a variant scored, in the metric's units."""
    change = measured.difference.value
    return -change if measured.higher_is_better else change


def checked_goal(
    *,
    max_drop: Any,
    max_size: Any,
    max_latency_ms: Any,
    minimize: Any,
    budget: Any,
    metric: str,
) -> Goal:
    """Returns the goal that a person's values mean.

    Args:
        max_drop: In the metric's units, absolute.
        max_size: Bytes, or text as "60 kB"; None for any.
        max_latency_ms: Milliseconds; None for any.
        minimize: "size_bytes" or "latency_ms".
        budget: Seconds, or text as "60 s" or "2 min".
        metric: What the score is.

    Raises:
        InputError: With everything that is wrong with them.
    """
    problems: list[str] = []
    values: dict[str, Any] = {"max_drop": _drop(max_drop, metric, problems)}
    values["max_size"] = None if max_size is None else _read(parse_bytes, max_size, problems)
    values["budget_s"] = _read(parse_seconds, budget, problems)
    if max_latency_ms is not None and not _is_positive(max_latency_ms):
        problems.append(f"max_latency_ms is {max_latency_ms!r}; a number above 0 would be right")
    if minimize not in FIGURES:
        near = did_you_mean(str(minimize), FIGURES)
        problems.append(f"minimize is {minimize!r}, not one of {', '.join(FIGURES)}{near}")
    if problems:
        raise InputError("The search cannot start.", problems=problems, hint=_HINT)
    return Goal(**values, max_latency_ms=max_latency_ms, minimize=minimize)


def _drop(value: Any, metric: str, problems: list[str]) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        problems.append(f"max_drop is {value!r}; a number such as 0.01 would be right")
        return 0.0
    if value < 0:
        problems.append(f"max_drop is {value:g}; 0 or more would be right")
    elif is_share(metric) and value >= 1:
        problems.append(
            f"max_drop is {value:g}, but {metric} lies between 0 and 1; for {value:g} points "
            f"write {value / 100:g}"
        )
    return float(value)


def _read(parse: Any, value: Any, problems: list[str]) -> Any:
    try:
        return parse(value)
    except InputError as error:
        name = "budget" if parse is parse_seconds else "max_size"
        problems.append(f"{name}: {error.message.rstrip('.')}")
        return None


def _is_positive(value: Any) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and math.isfinite(value) and value > 0
