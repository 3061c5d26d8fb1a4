"""Whether a version keeps its budget: a sliding window over its last answers."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from time import monotonic

from workbench.serving.traffic import Budget

_BUCKETS = 12
_SERVER_ERRORS = 500
_DEADLINE_PASSED = 504


_MOST_CALLERS = 1000
Caller = Hashable


@dataclass(frozen=True)
class Breach:
    """A budget overspent: why in words, and the figures of the window.

    Attributes:
        reason: In words.
        requests: Runs of the model that were answered.
        errors: Of those, answered by an error that is not the caller's.
        slow: Of those, answered too late.
        callers: Who asked, each counted once.
        met: Of those, who met what the budget was overspent by.
    """

    reason: str
    requests: int
    errors: int
    slow: int
    callers: int
    met: int


class Slot:
    """The counts of a part of the window."""

    def __init__(self) -> None:
        self.counts = [0, 0, 0]
        self.callers: dict[Caller, list[int]] = {}

    def add(self, caller: Caller, adds: Sequence[bool]) -> None:
        """Adds an answer; of very many callers the first ones are told apart."""
        for place, one in enumerate(adds):
            self.counts[place] += one
        own = self.callers.get(caller)
        if own is None:
            if len(self.callers) >= _MOST_CALLERS:
                return
            own = self.callers[caller] = [0, 0, 0]
        for place, one in enumerate(adds):
            own[place] += one


class Watch:
    """Counts the answers of one version; adding one takes constant time.

    What never reached the model is not told to it: a request that cannot be read, or is refused,
    says nothing of the version. Of the others, callers' own faults do not count: 4xx, 499, and
    504, which a caller's short deadline brings. A single one of several callers overspends no
    budget: what a breach needs is that a share of them met it, and each counts for at most a share
    of the requests. A caller is a token, and the user that a trusted proxy names.

    Args:
        budget: The limits.
        clock: Seconds that only grow.
    """

    def __init__(self, budget: Budget, clock: Callable[[], float] = monotonic) -> None:
        self._budget = budget
        self._clock = clock
        self._width_s = budget.window_s / _BUCKETS
        self._slow_s = None if budget.latency_ms is None else budget.latency_ms / 1e3
        self._slots = [Slot() for _ in range(_BUCKETS)]
        self._totals = [0, 0, 0]
        self._at = int(clock() / self._width_s)
        self.is_broken = False

    def observe(self, status: int, seconds: float, caller: Caller = None) -> Breach | None:
        """Adds the answer to a run of the model.

        Args:
            status: HTTP's.
            seconds: It took; 0 if that says nothing of the version.
            caller: Who asked.

        Returns:
            The breach, the first time that the budget is overspent.
        """
        self._turn()
        totals = self._totals
        is_error = status >= _SERVER_ERRORS and status != _DEADLINE_PASSED
        is_slow = self._slow_s is not None and seconds > self._slow_s
        adds = (True, is_error, is_slow)
        self._slots[self._at % _BUCKETS].add(caller, adds)
        for place, one in enumerate(adds):
            totals[place] += one
        if self.is_broken or totals[0] < self._budget.requests:
            return None
        found = self._overspent()
        if found is None:
            return None
        place, reason = found
        callers, met = self._callers(place)
        if not self._is_shared(place, callers, met):
            return None
        self.is_broken = True
        told = f"{reason}; {met} of {callers} callers met it"
        return Breach(told, totals[0], totals[1], totals[2], callers, met)

    def _turn(self) -> None:
        """Empties the slots whose time has passed."""
        now = int(self._clock() / self._width_s)
        for at in range(max(self._at + 1, now - _BUCKETS + 1), now + 1):
            for place, count in enumerate(self._slots[at % _BUCKETS].counts):
                self._totals[place] -= count
            self._slots[at % _BUCKETS] = Slot()
        self._at = max(now, self._at)

    def _callers(self, place: int) -> tuple[int, int]:
        """Returns how many asked in the window, and how many met an error (1) or a delay (2)."""
        everyone = {caller for slot in self._slots for caller in slot.callers}
        met = {c for slot in self._slots for c, found in slot.callers.items() if found[place]}
        return len(everyone), len(met)

    def _is_shared(self, place: int, callers: int, met: int) -> bool:
        """Whether enough of the callers met it, and it is too much without one that asks a lot."""
        budget = self._budget
        if callers < 2:
            return True
        if met < max(2, math.ceil(budget.callers * callers)):
            return False
        most = budget.one_caller * self._totals[0]
        runs = bad = 0.0
        for own in self._by_caller().values():
            weight = min(1.0, most / own[0])
            runs, bad = runs + weight * own[0], bad + weight * own[place]
        return bad > runs * ((budget.errors or 0.0) if place == 1 else budget.slow)

    def _by_caller(self) -> dict[Caller, list[int]]:
        """Returns the counts of the window, by caller."""
        found: dict[Caller, list[int]] = {}
        for slot in self._slots:
            for caller, counts in slot.callers.items():
                own = found.setdefault(caller, [0, 0, 0])
                own[:] = [one + other for one, other in zip(own, counts, strict=True)]
        return found

    def _overspent(self) -> tuple[int, str] | None:
        """Returns which count is too high, and why in words."""
        budget, (count, errors, slow) = self._budget, self._totals
        within = f"of {count} requests in {budget.window_s:g} s"
        if budget.errors is not None and errors > budget.errors * count:
            return 1, (
                f"{errors} {within} were errors ({errors / count:.1%}); "
                f"the budget allows {budget.errors:.1%}"
            )
        if budget.latency_ms is not None and slow > budget.slow * count:
            return 2, (
                f"{slow} {within} took longer than {budget.latency_ms:g} ms "
                f"({slow / count:.1%}); the budget allows {budget.slow:.1%}"
            )
        return None
