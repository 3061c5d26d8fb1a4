"""Batches of other sizes, to try whether a model takes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from workbench.core.batch import Batch, Tensor, named
from workbench.core.signature import LENGTHS, TensorSpec


def resized(batch: Batch, specs: Sequence[TensorSpec], sizes: Mapping[str, int]) -> Batch:
    """Returns a batch whose free dimensions have these sizes: cut, or filled with its own values.

    Tensors that tell true lengths tell no more than there is, and what is added counts as padding.

    Args:
        batch: What is there.
        specs: What its tensors are.
        sizes: By free dimension.
    """
    tensors = named(batch, [spec.name for spec in specs])
    most = {LENGTHS.format(dim): size for dim, size in sizes.items()}
    found = {spec.name: _resized(tensors[spec.name], spec, sizes) for spec in specs}
    for name in found.keys() & most.keys():
        found[name] = np.minimum(found[name], np.asarray(most[name], found[name].dtype))
    return found if isinstance(batch, Mapping) else found[specs[0].name]


def padded(
    batch: Batch,
    specs: Sequence[TensorSpec],
    sizes: Mapping[str, int],
    values: Mapping[str, float],
) -> Batch:
    """Returns a batch with padding behind its free dimensions, as among longer samples.

    Args:
        batch: What is there.
        specs: What its tensors are.
        sizes: By free dimension, none smaller than it is.
        values: By what each tensor with free dimensions is padded.
    """
    tensors = named(batch, [spec.name for spec in specs])
    found = {spec.name: _padded(tensors[spec.name], spec, sizes, values) for spec in specs}
    return found if isinstance(batch, Mapping) else found[specs[0].name]


def _resized(tensor: Tensor, spec: TensorSpec, sizes: Mapping[str, int]) -> Tensor:
    for axis, dim in spec.free.items():
        if dim in sizes:
            tensor = np.take(tensor, np.arange(sizes[dim]) % tensor.shape[axis], axis)
    return tensor


def _padded(
    tensor: Tensor, spec: TensorSpec, sizes: Mapping[str, int], values: Mapping[str, float]
) -> Tensor:
    widths = [(0, 0)] * tensor.ndim
    for axis, dim in spec.free.items():
        widths[axis] = (0, max(0, sizes.get(dim, 0) - tensor.shape[axis]))
    if spec.name not in values:
        return tensor
    value: Any = "" if tensor.dtype.kind in "OU" else values[spec.name]
    return np.pad(tensor, widths, constant_values=value)
