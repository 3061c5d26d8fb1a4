"""A figure of a benchmark: its value, its goal, and whether it is reached."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any


@dataclass(frozen=True)
class Figure:
    """One line of the table. Without a goal it only tells; `is_floor` turns the goal around."""

    name: str
    value: float
    unit: str
    goal: float | None = None
    is_floor: bool = False

    @property
    def verdict(self) -> str:
        """Whether the goal is reached."""
        if self.goal is None:
            return ""
        is_reached = self.value >= self.goal if self.is_floor else self.value <= self.goal
        return "ok" if is_reached else "missed"

    @property
    def goal_text(self) -> str:
        """The goal as the table shows it."""
        if self.goal is None:
            return ""
        return f"{'≥' if self.is_floor else '≤'} {shown(self.goal)}"

    def to_json(self) -> dict[str, Any]:
        """Returns the figure as JSON-able values."""
        return {**asdict(self), "verdict": self.verdict}


def shown(value: float) -> str:
    """Returns a number with about three digits."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def median_of(measure: Callable[[], float], times: int) -> float:
    """Returns the median of several measurements."""
    return median(measure() for _ in range(times))


def in_turns(measures: dict[str, Callable[[], float]], times: int) -> dict[str, list[float]]:
    """Measures several things in turns, so that a busy moment of the machine meets them all."""
    found: dict[str, list[float]] = {name: [] for name in measures}
    for _ in range(times):
        for name, measure in measures.items():
            found[name].append(measure())
    return found


def ratio(values: Iterable[float], references: Iterable[float]) -> float:
    """Returns the median of paired ratios."""
    return median(a / b for a, b in zip(values, references, strict=True))
