"""What is said of a recipe before it is measured. A plain record: JSON-able, frozen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from workbench.core.records import Interval


@dataclass(frozen=True)
class Estimate:
    """Figures with bands that are meant to hold in nine of ten cases.

    Attributes:
        recipe: Canonical text.
        metric: What `score` is.
        score: As `measure` would find it.
        size_bytes: Of the file.
        latency_ms: Median of a call.
        macs: Multiply-accumulates a sample.
        is_provisional: Whether too little was measured yet to trust the band.
        needs_training: Whether the recipe trains, so that nothing can be computed of its score.
        reason: Why, in words; empty if there is nothing to add.
    """

    recipe: str
    metric: str
    score: Interval
    size_bytes: Interval
    latency_ms: Interval
    macs: Interval
    is_provisional: bool = False
    needs_training: bool = False
    reason: str = ""

    @property
    def accuracy(self) -> Interval | None:
        """The score if it is the accuracy, else None."""
        return self.score if self.metric == "accuracy" else None

    @property
    def provisional(self) -> bool:
        """The same as `is_provisional`."""
        return self.is_provisional

    def to_json(self) -> dict[str, Any]:
        """Returns the record as JSON-able values."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Estimate:
        """Rebuilds a record from `to_json`."""
        names = ("score", "size_bytes", "latency_ms", "macs")
        return cls(**{**data, **{name: Interval(**data[name]) for name in names}})


@dataclass(frozen=True)
class Report:
    """How estimates held against what was measured afterwards.

    Attributes:
        measured: Recipes compared.
        coverage: Share of them inside their band.
        error: Median difference of the score, in points; None without any.
        latency_error: Median relative error of the latency; None without any.
        words: The same in one sentence.
    """

    measured: int
    coverage: float | None
    error: float | None
    latency_error: float | None
    words: str
