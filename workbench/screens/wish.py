"""What an explorer is asked to measure, and within which limits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from workbench.flow.study import Study
from workbench.flow.variant import Variant
from workbench.screens.views import study as view

SEARCH = "search"


@dataclass(frozen=True)
class Wish:
    """What the page asked for: a recipe to be measured, or the search for one.

    Attributes:
        what: The recipe, or "search".
        goal: Limits and budget of a search.
    """

    what: str
    goal: Mapping[str, Any] | None = None

    @property
    def code(self) -> str:
        """The same in Python."""
        if self.goal is None:
            text = self.what if self.what.startswith("{") else f'"{self.what}"'
            return f"study.measure({text})"
        return f"study.search({', '.join(f'{k}={v!r}' for k, v in self.goal.items())})"

    def granted(self, study: Study, tell: Callable[..., None]) -> tuple[Variant, str]:
        """Returns the variant, and what the search has to say of it."""
        if self.goal is None:
            return study.measure(self.what, on_event=tell), ""
        found: Any = view.search_of(study)(**self.goal, on_event=tell)
        return found, str(getattr(found.found, "words", ""))


def are_limits(value: Any) -> bool:
    """Whether an input gives a number, or none, to each limit of a budget."""
    return (
        isinstance(value, dict)
        and set(value) <= {"drop", "kb", "ms"}
        and all(v is None or (type(v) in (int, float)) for v in value.values())
    )
