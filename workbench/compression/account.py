"""Keeps account of what estimates said before a measurement, and what was then found."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from workbench.compression.conformal import LEVEL
from workbench.compression.estimate import Estimate, Report
from workbench.compression.measured import Measured


@dataclass
class Account:
    """See the module's docstring."""

    inside: list[bool] = field(default_factory=list)
    errors: list[float] = field(default_factory=list)
    latency_errors: list[float] = field(default_factory=list)

    def add(self, said: Estimate, found: Measured) -> None:
        """Compares an estimate with the measurement that followed; not of recipes that train."""
        if said.needs_training:
            return
        self.inside.append(said.score.low <= found.score <= said.score.high)
        self.errors.append(100 * abs(said.score.value - found.score))
        self.latency_errors.append(abs(said.latency_ms.value / found.latency_ms - 1))

    def report(self) -> Report:
        """Returns how the estimates held so far."""
        count = len(self.inside)
        if not count:
            return Report(0, None, None, None, "nothing was measured yet")
        coverage, error = float(np.mean(self.inside)), float(np.median(self.errors))
        words = (
            f"{sum(self.inside)} of {count} measured recipes lay inside their band of "
            f"{LEVEL:.0%}; half of them within {error:.2g} points of the estimate"
        )
        return Report(count, coverage, error, float(np.median(self.latency_errors)), words)
