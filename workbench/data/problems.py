"""All problems of one input, gathered and told at once."""

from __future__ import annotations

from collections.abc import Iterable

from workbench.core.errors import InputError

_SHOWN = 1000


class Problems:
    """Gathers problems; the first thousand are told with their places, the rest are counted."""

    def __init__(self, found: Iterable[str] = ()) -> None:
        self._shown: list[str] = []
        self.count = 0
        self.extend(found)

    def add(self, problem: str) -> None:
        """Adds one problem, with its place in words."""
        self.count += 1
        if len(self._shown) < _SHOWN:
            self._shown.append(problem)

    def extend(self, problems: Iterable[str]) -> None:
        """Adds several problems."""
        for problem in problems:
            self.add(problem)

    def __bool__(self) -> bool:
        return self.count > 0

    def __iter__(self):  # type: ignore[no-untyped-def]
        return iter(self._shown)

    def raise_if_any(self, what: str, *, hint: str = "") -> None:
        """Raises one error with all problems, if there are any.

        Args:
            what: The thing given, as in "The dataset 'cats'".
            hint: What to do about it.

        Raises:
            InputError: There are problems.
        """
        if not self.count:
            return
        rest = self.count - len(self._shown)
        more = [f"… and {rest} more"] if rest else []
        noun = "problem" if self.count == 1 else "problems"
        raise InputError(
            f"{what} has {self.count} {noun}; nothing was stored.",
            problems=[*self._shown, *more],
            hint=hint or "Mend or remove these places and load again.",
        )
