"""Batches of other sizes, to try whether a model takes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from workbench.core.batch import Batch, Tensor, named
from workbench.core.signature import TensorSpec


def enlarged(batch: Batch, specs: Sequence[TensorSpec], sizes: Mapping[str, int]) -> Batch:
    """Returns a batch whose free dimensions have these sizes, filled with its own values again.

    Tensors that tell true lengths stay as they are, so what is added counts as padding.

    Args:
        batch: What is there.
        specs: What its tensors are.
        sizes: By free dimension, none smaller than it is.
    """
    tensors = named(batch, [spec.name for spec in specs])
    found = {spec.name: _longer(tensors[spec.name], spec, sizes) for spec in specs}
    return found if isinstance(batch, Mapping) else found[specs[0].name]


def _longer(tensor: Tensor, spec: TensorSpec, sizes: Mapping[str, int]) -> Tensor:
    for axis, dim in spec.free.items():
        if dim in sizes:
            tensor = np.take(tensor, np.arange(sizes[dim]) % tensor.shape[axis], axis)
    return tensor
