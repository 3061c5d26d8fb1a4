"""Signatures: the named tensors a model takes and gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class TensorSpec:
    """One named tensor. A string in `shape` is a symbolic dimension, as in ("batch", 3, 32, 32).

    `dtype` is NumPy's name: "float32", "int64", "uint8", …
    """

    name: str
    dtype: str
    shape: tuple[int | str, ...]

    @property
    def is_batched(self) -> bool:
        """Whether the first dimension is symbolic."""
        return bool(self.shape) and isinstance(self.shape[0], str)


@dataclass(frozen=True)
class Signature:
    """What a model takes and gives."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]

    def to_json(self) -> dict[str, Any]:
        """Returns the signature as JSON-able values."""
        return {
            side: [{"name": t.name, "dtype": t.dtype, "shape": list(t.shape)} for t in tensors]
            for side, tensors in (("inputs", self.inputs), ("outputs", self.outputs))
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Signature:
        """Rebuilds a signature from `to_json`."""
        return cls(_tensors(data["inputs"]), _tensors(data["outputs"]))


def _tensors(items: list[Mapping[str, Any]]) -> tuple[TensorSpec, ...]:
    return tuple(TensorSpec(t["name"], t["dtype"], tuple(t["shape"])) for t in items)
