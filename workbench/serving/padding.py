"""Requests whose free dimensions differ, put into one run and taken apart again. Tensors only.

What a model is told by its other inputs (true lengths, a mask) must make it pass over what is
padded; the modality vouches for that, and the model is tried with made-up samples before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.core.errors import WorkbenchError
from workbench.core.signature import Signature, TensorSpec
from workbench.serving.engine import LoadedModel, Tensors, close_to, example_inputs

_MOST_WASTE = 1.5  # times the values that came may be in a run
_SIZES = (1, 2)  # of the samples that a model is tried with, in parts of the longest


class Padding:
    """Pads tensors at the end of their free dimensions.

    Args:
        signature: Of the model.
        values: By what each tensor is padded.

    Attributes:
        dims: The free dimensions that may differ: those that only tensors with a value have.
    """

    def __init__(self, signature: Signature, values: Mapping[str, float]) -> None:
        texts = {spec.name for spec in signature.inputs if spec.dtype == "str"}
        self._values: dict[str, Any] = {**values, **dict.fromkeys(texts, "")}
        self._outputs = signature.outputs
        free = {dim for spec in signature.inputs for dim in spec.free.values()}
        kept = {
            dim
            for spec in signature.inputs
            if spec.name not in values
            for dim in spec.free.values()
        }
        self.dims = frozenset(free - kept)
        self._axes = {
            spec.name: {axis: dim for axis, dim in spec.free.items() if dim in self.dims}
            for spec in signature.inputs
        }

    def key(self, inputs: Tensors) -> tuple[Any, ...]:
        """Returns what must be the same of requests that share a run."""
        return tuple((self._fixed(name, value), value.dtype) for name, value in inputs.items())

    def values(self, inputs: Tensors) -> int:
        """Returns how many values a row of the tensors that are padded has."""
        return sum(value[0].size for name, value in inputs.items() if self._axes[name])

    def is_worth(self, rows: int, largest: int, sum_of_values: int) -> bool:
        """Returns whether a run is not mostly padding.

        Args:
            rows: In all.
            largest: Values of the largest row.
            sum_of_values: Of all rows as they came.
        """
        return rows * largest <= _MOST_WASTE * sum_of_values

    def joined(self, requests: Sequence[Tensors]) -> dict[str, NDArray[Any]]:
        """Returns the rows of several requests, each padded to the largest."""
        return {
            name: self._concatenated(name, [request[name] for request in requests])
            for name in requests[0]
        }

    def cut(self, outputs: Tensors, inputs: Tensors) -> dict[str, NDArray[Any]]:
        """Returns a request's rows of the outputs, as long as its own inputs are."""
        sizes = {
            dim: inputs[name].shape[axis]
            for name, axes in self._axes.items()
            for axis, dim in axes.items()
        }
        return {spec.name: _cut(outputs[spec.name], spec, sizes) for spec in self._outputs}

    def _fixed(self, name: str, value: NDArray[Any]) -> tuple[int | None, ...]:
        padded = self._axes[name]
        return tuple(
            None if axis in padded else size for axis, size in enumerate(value.shape) if axis
        )

    def _concatenated(self, name: str, parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
        shapes = {part.shape[1:] for part in parts}
        if len(shapes) == 1:
            return np.concatenate(parts)
        largest = np.max([part.shape[1:] for part in parts], axis=0)
        rows = sum(len(part) for part in parts)
        made = np.full((rows, *largest), self._values[name], parts[0].dtype)
        begin = 0
        for part in parts:
            end = begin + len(part)
            made[(slice(begin, end), *(slice(size) for size in part.shape[1:]))] = part
            begin = end
        return made


def padding_for(
    model: LoadedModel, values: Mapping[str, float] | None, free: int
) -> Padding | None:
    """Returns how requests to a model are padded; None if they are not, or must not be.

    Args:
        model: Answers batches.
        values: What its modality says; None says nothing.
        free: A size of the free dimensions at which it answers.
    """
    if values is None:
        return None
    padding = Padding(model.signature, values)
    if not padding.dims:
        return None
    for tells_sizes in (True, False):
        requests = [
            _example(model.signature, seed, free * size, tells_sizes=tells_sizes)
            for seed, size in enumerate(_SIZES)
        ]
        try:
            return padding if _pads_faithfully(model, padding, requests) else None
        except WorkbenchError:  # such whole numbers are no sizes, but codes that must be small
            continue
    return None


def _example(
    signature: Signature, seed: int, free: int, *, tells_sizes: bool
) -> dict[str, NDArray[Any]]:
    """Returns a made-up sample; whole numbers are 1, or, one a row, the size of what is free."""
    made = example_inputs(signature, 1, seed=seed, free=free)
    whole = [name for name, value in made.items() if value.dtype.kind in "biu"]
    return made | {
        name: np.full_like(made[name], free if tells_sizes and made[name].ndim == 1 else 1)
        for name in whole
    }


def _pads_faithfully(model: LoadedModel, padding: Padding, requests: Sequence[Tensors]) -> bool:
    """Returns whether the answers to samples padded together are those to each alone."""
    together = model.predict(padding.joined(requests))
    for row, request in enumerate(requests):
        alone = model.predict(request)
        own = {name: value[row : row + 1] for name, value in together.items()}
        cut = padding.cut(own, request)
        if not all(close_to(cut[name], value) for name, value in alone.items()):
            return False
    return True


def _cut(value: NDArray[Any], spec: TensorSpec, sizes: Mapping[str, int]) -> NDArray[Any]:
    own = [slice(sizes.get(dim) if isinstance(dim, str) else None) for dim in spec.shape[1:]]
    return np.ascontiguousarray(value[(slice(None), *own)])
