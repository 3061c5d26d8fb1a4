"""What was measured of one variant. A plain record: JSON-able, frozen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from workbench.core.records import Interval


@dataclass(frozen=True)
class Measured:
    """A variant as it was measured, on its ONNX file, on this machine.

    Attributes:
        recipe: Canonical text; "baseline" for the model itself.
        recipe_json: The same as JSON.
        metric: What `score` is.
        score: On the whole validation split, by ONNX Runtime.
        higher_is_better: Whether a larger score is better.
        difference: Score minus the baseline's, paired, with a 90 % interval.
        samples: Validation samples.
        size_bytes: Of the ONNX file.
        stored_bytes: The same after zstd.
        latency_ms: Median of a call, as in the minute in which the baseline was measured: machines
            have moods, so the time found is scaled by the baseline's, taken in turns with it.
        latency_p95_ms: 95th percentile of a call, likewise.
        latency_ratio: To the baseline, measured in turns with it, with a 95 % interval.
        batch: Samples in such a call.
        threads: Threads it used.
        cpu: The machine, see `runtime.Cpu`.
        artifact: Digest of the "onnx" artifact.
        parity: Largest difference to torch before the graph was edited; None without a module.
        reason: What it gains and loses, and why, in words.
        notes: What the user should know besides.
        cpu_s_per_1000: Processor seconds of 1,000 samples; None if it was not measured.
        energy_j_per_1000: Joules of the processor packages meanwhile, whatever else ran on them
            included; None without a counter that can be read.
    """

    recipe: str
    recipe_json: Mapping[str, Any]
    metric: str
    score: float
    higher_is_better: bool
    difference: Interval
    samples: int
    size_bytes: int
    stored_bytes: int
    latency_ms: float
    latency_p95_ms: float
    latency_ratio: Interval
    batch: int
    threads: int
    cpu: Mapping[str, Any]
    artifact: str
    parity: float | None
    reason: str
    notes: tuple[str, ...] = ()
    cpu_s_per_1000: float | None = None
    energy_j_per_1000: float | None = None

    @property
    def accuracy(self) -> float | None:
        """The score if it is the accuracy, else None."""
        return self.score if self.metric == "accuracy" else None

    @property
    def is_baseline(self) -> bool:
        """Whether nothing was done to the model."""
        return self.recipe == "baseline"

    def to_json(self) -> dict[str, Any]:
        """Returns the record as JSON-able values."""
        return {**asdict(self), "notes": list(self.notes)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Measured:
        """Rebuilds a record from `to_json`."""
        intervals = {k: Interval(**data[k]) for k in ("difference", "latency_ratio")}
        return cls(**{**data, **intervals, "notes": tuple(data["notes"])})
