"""Whether a version keeps its budget: a sliding window over its last answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

from workbench.serving.traffic import Budget

_BUCKETS = 12
_SERVER_ERRORS = 500
_DEADLINE_PASSED = 504


@dataclass(frozen=True)
class Breach:
    """A budget overspent: why in words, and the figures of the window."""

    reason: str
    requests: int
    errors: int
    slow: int


class Watch:
    """Counts the answers of one version; every operation takes constant time.

    Callers' own faults do not count: 4xx, 499, and 504, which a caller's short deadline brings.

    Args:
        budget: The limits.
        clock: Seconds that only grow.
    """

    def __init__(self, budget: Budget, clock: Callable[[], float] = monotonic) -> None:
        self._budget = budget
        self._clock = clock
        self._width_s = budget.window_s / _BUCKETS
        self._slow_s = None if budget.latency_ms is None else budget.latency_ms / 1e3
        self._slots = [[0, 0, 0] for _ in range(_BUCKETS)]
        self._totals = [0, 0, 0]
        self._at = int(clock() / self._width_s)
        self.is_broken = False

    def observe(self, status: int, seconds: float) -> Breach | None:
        """Adds an answer; returns the breach the first time that the budget is overspent."""
        self._turn()
        slot, totals = self._slots[self._at % _BUCKETS], self._totals
        is_error = status >= _SERVER_ERRORS and status != _DEADLINE_PASSED
        is_slow = self._slow_s is not None and seconds > self._slow_s
        for place, adds in enumerate((True, is_error, is_slow)):
            slot[place] += adds
            totals[place] += adds
        if self.is_broken or totals[0] < self._budget.requests:
            return None
        reason = self._reason()
        if reason is None:
            return None
        self.is_broken = True
        return Breach(reason, *totals)

    def _turn(self) -> None:
        """Empties the slots whose time has passed."""
        now = int(self._clock() / self._width_s)
        for at in range(max(self._at + 1, now - _BUCKETS + 1), now + 1):
            slot = self._slots[at % _BUCKETS]
            for place, count in enumerate(slot):
                self._totals[place] -= count
                slot[place] = 0
        self._at = max(now, self._at)

    def _reason(self) -> str | None:
        budget, (count, errors, slow) = self._budget, self._totals
        within = f"of {count} requests in {budget.window_s:g} s"
        if budget.errors is not None and errors > budget.errors * count:
            return (
                f"{errors} {within} were errors ({errors / count:.1%}); "
                f"the budget allows {budget.errors:.1%}"
            )
        if budget.latency_ms is not None and slow > budget.slow * count:
            return (
                f"{slow} {within} took longer than {budget.latency_ms:g} ms "
                f"({slow / count:.1%}); the budget allows {budget.slow:.1%}"
            )
        return None
