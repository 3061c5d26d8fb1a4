"""Keeps account of what estimates said before a measurement, and what was then found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from workbench.compression.conformal import LEVEL
from workbench.compression.estimate import Estimate, Report
from workbench.compression.measured import Measured


@dataclass(frozen=True)
class Entry:
    """One recipe: whether its score lay in the band, and how far the estimates were off.

    Attributes:
        inside: Whether the measured score lay in the band.
        error: Of the score, in points.
        latency_error: Of the latency, relative.
    """

    inside: bool
    error: float
    latency_error: float


@dataclass
class Account:
    """See the module's docstring.

    Attributes:
        entries: By recipe, each made before the recipe was measured.
    """

    entries: dict[str, Entry] = field(default_factory=dict)

    def __contains__(self, recipe: object) -> bool:
        return recipe in self.entries

    def add(self, said: Estimate, found: Measured) -> None:
        """Compares an estimate with the measurement that followed; not of recipes that train."""
        if said.needs_training:
            return
        self.entries[found.recipe] = Entry(
            inside=bool(said.score.low <= found.score <= said.score.high),
            error=100 * abs(said.score.value - found.score),
            latency_error=abs(said.latency_ms.value / found.latency_ms - 1),
        )

    def report(self) -> Report:
        """Returns how the estimates held so far."""
        entries = list(self.entries.values())
        count, inside = len(entries), sum(entry.inside for entry in entries)
        if not count:
            return Report(0, None, None, None, "nothing was measured yet")
        error = float(np.median([entry.error for entry in entries]))
        latency = float(np.median([entry.latency_error for entry in entries]))
        words = (
            f"{inside} of {count} measured recipes lay inside their band of {LEVEL:.0%}; half of "
            f"them within {error:.2g} points of the estimate"
        )
        return Report(count, inside / count, error, latency, words)

    def to_json(self) -> dict[str, Any]:
        """Returns the account as JSON-able values."""
        return {recipe: asdict(entry) for recipe, entry in self.entries.items()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Account:
        """Rebuilds an account from `to_json`."""
        return cls({recipe: Entry(**entry) for recipe, entry in data.items()})
