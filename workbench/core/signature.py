"""Signatures: the named tensors a model takes and gives."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from workbench.core.batch import Tensor
from workbench.core.errors import InputError


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

    @property
    def sample_shape(self) -> tuple[int | str, ...]:
        """The shape of one sample of a batch; a string is a free dimension."""
        return self.shape[1:]

    @property
    def free(self) -> dict[int, str]:
        """The free dimensions of one sample by axis of the batch, as in {1: "time"}."""
        return {axis: dim for axis, dim in enumerate(self.shape) if axis and isinstance(dim, str)}

    @property
    def words(self) -> str:
        """One sample in words, as in "float32 [3, time]", or "int64" for a single value."""
        sizes = ", ".join(map(str, self.sample_shape))
        return f"{self.dtype} [{sizes}]" if sizes else self.dtype


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


def dtype_name(tensor: Tensor) -> str:
    """Returns the name of an array's dtype as signatures have it; texts are "str"."""
    return "str" if tensor.dtype.kind in "UO" else str(tensor.dtype.name)


def is_plain(specs: Sequence[TensorSpec]) -> bool:
    """Returns whether samples are one tensor of one shape and floats, as our own families take."""
    return len(specs) == 1 and not specs[0].free and specs[0].dtype == "float32"


def free_dimensions(specs: Sequence[TensorSpec]) -> list[str]:
    """Returns the names of all free dimensions of a sample, in order."""
    return list(dict.fromkeys(dim for spec in specs for dim in spec.free.values()))


def free_sizes(tensors: Mapping[str, Tensor], specs: Sequence[TensorSpec]) -> dict[str, int]:
    """Returns the size of every free dimension, the batch among them.

    Args:
        tensors: Of a batch, by name.
        specs: What they are; those without a tensor are left out.

    Raises:
        InputError: A dimension has two sizes; the message names both tensors.
    """
    problems: list[str] = []
    found: dict[str, tuple[str, int]] = {}
    for name, dim, size in _sizes(tensors, specs):
        first, known = found.setdefault(dim, (name, size))
        if known != size:
            problems.append(f"'{dim}' = {known} in '{first}' and {size} in '{name}'")
    if problems:
        raise InputError(
            f"Got {'; '.join(problems)}; a dimension has one size in all tensors.",
            hint="Tensors that share a dimension must be cut or padded to the same length.",
        )
    return {dim: size for dim, (_, size) in found.items()}


def misfits(tensors: Mapping[str, Tensor], specs: Sequence[TensorSpec]) -> list[str]:
    """Returns every way in which the tensors of a batch are not what `specs` say, in words."""
    got, wanted = list(tensors), [spec.name for spec in specs]
    if set(got) != set(wanted):
        return [f"tensors {', '.join(map(repr, got))}, right are {', '.join(map(repr, wanted))}"]
    problems = [
        f"'{spec.name}' is {dtype_name(tensor)} {list(tensor.shape)}, "
        f"right is {spec.dtype} {list(spec.shape)}"
        for spec in specs
        if not _fits(tensor := tensors[spec.name], spec)
    ]
    if problems:
        return problems
    try:
        free_sizes(tensors, specs)
    except InputError as error:
        return [error.message]
    return []


def _fits(tensor: Tensor, spec: TensorSpec) -> bool:
    return (
        dtype_name(tensor) == spec.dtype
        and tensor.ndim == len(spec.shape)
        and all(
            isinstance(dim, str) or dim == size
            for dim, size in zip(spec.shape, tensor.shape, strict=True)
        )
    )


def _sizes(
    tensors: Mapping[str, Tensor], specs: Sequence[TensorSpec]
) -> Iterator[tuple[str, str, int]]:
    """Yields name, free dimension and size of all tensors that have the rank of their spec."""
    for spec in specs:
        tensor = tensors.get(spec.name)
        if tensor is None or tensor.ndim != len(spec.shape):
            continue
        for dim, size in zip(spec.shape, tensor.shape, strict=True):
            if isinstance(dim, str):
                yield spec.name, dim, int(size)
