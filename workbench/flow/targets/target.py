"""What another machine measured of a study's variants. Plain records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from workbench.core.errors import NotFoundError
from workbench.core.records import Interval


@dataclass(frozen=True)
class TargetFigure:
    """One variant on one machine.

    Attributes:
        p50_ms: Median of a call.
        p95_ms: 95th percentile of a call.
        runs: Calls.
        ratio: Latency to the baseline's on the same machine, with a 95 % interval.
        agreement: Share of the exported samples answered as on the machine of the study.
        max_error: Largest difference of an output to that machine's.
    """

    p50_ms: float
    p95_ms: float
    runs: int
    ratio: Interval
    agreement: float
    max_error: float


@dataclass(frozen=True)
class Target:
    """A machine for which latency was measured.

    Attributes:
        name: As it calls itself, or as it was imported.
        machine: CPU, system, versions.
        threads: Of the sessions.
        batch: Samples a call.
        figures: By digest of the variant.
    """

    name: str
    machine: Mapping[str, Any]
    threads: int
    batch: int
    figures: Mapping[str, TargetFigure]

    def of(self, variant: Any) -> TargetFigure:
        """Returns what it measured of a variant.

        Raises:
            NotFoundError: It was not among those exported.
        """
        if variant.digest not in self.figures:
            raise NotFoundError(
                f"'{variant.recipe}' was not measured on {self.name}.",
                hint="Export the study again, run it there, and import the result.",
            )
        return self.figures[variant.digest]

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Target:
        """Builds a target from the result of `measure_here.py`."""
        figures = {
            str(digest): TargetFigure(**{**row, "ratio": Interval(**row["ratio"])})
            for digest, row in data["figures"].items()
        }
        return cls(
            str(data["name"]), dict(data["machine"]), data["threads"], data["batch"], figures
        )
