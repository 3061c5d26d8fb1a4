"""What is wrong with one request: the first few problems in words, the others counted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from workbench.core.errors import did_you_mean

MOST_TOLD = 20


class Problems:
    """Collects problems at a cost that does not grow with their number."""

    __slots__ = ("_more", "_told")

    def __init__(self) -> None:
        self._told: list[str] = []
        self._more = 0

    def add(self, problem: str) -> None:
        """Notes a problem; beyond the first few it is only counted."""
        if self.is_full:
            self._more += 1
        else:
            self._told.append(problem)

    def add_all(self, problems: Iterable[str]) -> None:
        """Notes several."""
        for problem in problems:
            self.add(problem)

    @property
    def is_full(self) -> bool:
        """Whether further ones are only counted."""
        return len(self._told) >= MOST_TOLD

    def near(self, name: str, known: Iterable[str]) -> str:
        """Returns "; did you mean 'x'?", looked for only while problems are told."""
        return "" if self.is_full else did_you_mean(name, known)

    def told(self) -> Sequence[str]:
        """Returns them in words, with the number of those left out."""
        return [*self._told, f"… and {self._more} more"] if self._more else self._told

    def __bool__(self) -> bool:
        return bool(self._told)
