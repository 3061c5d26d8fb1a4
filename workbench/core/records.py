"""Plain values that cross floors: samples, findings, predictions, descriptions of models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from workbench.core.signature import Signature

Task = Literal["classification", "regression"]
OutputKind = Literal["logits", "probabilities", "value"]


@dataclass(frozen=True)
class Sample:
    """One sample: the raw decoded input, and its class index (int) or value (float)."""

    input: Any
    target: Any


@dataclass(frozen=True)
class Finding:
    """Something noticed in the data. `places` are files or rows, each in words."""

    kind: str
    message: str
    severity: Literal["info", "warning"] = "warning"
    places: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Returns the finding as JSON-able values."""
        return {**asdict(self), "places": list(self.places)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Finding:
        """Rebuilds a finding from `to_json`."""
        return cls(data["kind"], data["message"], data["severity"], tuple(data["places"]))


@dataclass(frozen=True)
class Interval:
    """A figure with its interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Description:
    """What a model artifact says of itself: enough to serve it without its training code.

    Attributes:
        task: What it predicts.
        output: What its first output tensor holds.
        labels: Class names in the order of the output; empty for regression.
        signature: Its tensors.
        modality: Key of the modality that decodes a person's input; None if only tensors are taken.
        preprocessing: That modality's saved config, `{"kind", "version", …}`; None likewise.
        family: Saved config of the family that rebuilds the network; None if it lives as ONNX only.
    """

    task: Task
    output: OutputKind
    labels: tuple[str, ...]
    signature: Signature
    modality: str | None = None
    preprocessing: Mapping[str, Any] | None = None
    family: Mapping[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        """Returns the description as JSON-able values."""
        return {
            "task": self.task,
            "output": self.output,
            "labels": list(self.labels),
            "signature": self.signature.to_json(),
            "modality": self.modality,
            "preprocessing": None if self.preprocessing is None else dict(self.preprocessing),
            "family": None if self.family is None else dict(self.family),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Description:
        """Rebuilds a description from `to_json`."""
        return cls(
            task=data["task"],
            output=data["output"],
            labels=tuple(data["labels"]),
            signature=Signature.from_json(data["signature"]),
            modality=data["modality"],
            preprocessing=data["preprocessing"],
            family=data["family"],
        )


@dataclass(frozen=True)
class Prediction:
    """One answer: a label with its scores by label, or a value."""

    label: str | None = None
    scores: Mapping[str, float] = field(default_factory=dict)
    value: float | None = None
