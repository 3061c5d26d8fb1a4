"""Plain values that cross floors: samples, findings, predictions, descriptions of models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from workbench.core.signature import Signature

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
        task: Key of what it predicts; empty if nothing is known but its tensors.
        output: What its first output tensor holds.
        labels: Names in the order of the output; empty where values are predicted.
        signature: Its tensors.
        modality: Key of the modality that decodes a person's input; None if only tensors are taken.
        preprocessing: That modality's saved config, `{"kind", "version", …}`; None likewise.
        family: Saved config of the family that rebuilds the network; None if it lives as ONNX only.
    """

    task: str
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
    """One answer, as far as the task has it.

    Attributes:
        label: The likeliest class.
        scores: By label.
        value: A number; an array in the output's own shape where there are several.
        labels: Every label that is likelier than not, of labels that may hold together.
        label_map: The index of the likeliest label at every place.
        outputs: What the model's further outputs hold for this sample, by name.
    """

    label: str | None = None
    scores: Mapping[str, float] = field(default_factory=dict)
    value: Any = None
    labels: tuple[str, ...] = ()
    label_map: Any = None
    outputs: Mapping[str, Any] = field(default_factory=dict)

    @property
    def words(self) -> str:
        """What was answered, in a few words."""
        if self.label is not None:
            return self.label
        if self.value is None:
            return ", ".join(self.labels) or "none of the labels"
        shape = getattr(self.value, "shape", ())
        return f"values of shape {shape}" if shape else f"{self.value:.6g}"

    def to_json(self) -> dict[str, Any]:
        """Returns the answer as the endpoint gave it: only what the task has."""
        fields = {
            "label": self.label,
            "labels": list(self.labels) if self.label is None and self.value is None else None,
            "scores": dict(self.scores) or None,
            "value": _listed(self.value),
            "label_map": _listed(self.label_map),
            "outputs": {name: _listed(value) for name, value in self.outputs.items()} or None,
        }
        return {name: value for name, value in fields.items() if value is not None}


def _listed(value: Any) -> Any:
    return value.tolist() if hasattr(value, "tolist") else value
