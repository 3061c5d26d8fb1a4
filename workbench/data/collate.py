"""Samples put together into a batch: stacked, and padded where their sizes differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from workbench.core.batch import Batch, Tensor, named
from workbench.core.errors import InputError
from workbench.core.signature import TensorSpec, free_dimensions


def collated(
    samples: Sequence[Batch], specs: Sequence[TensorSpec], padding: Mapping[str, float] | None
) -> Batch:
    """Returns samples as one batch: an array for one tensor, else arrays by name.

    Args:
        samples: Each as `decode` gives it.
        specs: What they are made of.
        padding: By what each tensor is padded at the end of its free dimensions.

    Raises:
        InputError: Sizes differ, and nothing says how to pad.
    """
    names = [spec.name for spec in specs]
    by_name = [named(sample, names) for sample in samples]
    found = {
        spec.name: stacked([s[spec.name] for s in by_name], spec, (padding or {}).get(spec.name))
        for spec in specs
    }
    return found if len(specs) > 1 else found[names[0]]


def stacked(tensors: Sequence[Tensor], spec: TensorSpec, pad: float | None) -> Tensor:
    """Returns the tensors of several samples as one of shape (n, …).

    Raises:
        InputError: Their sizes differ, and `pad` is None.
    """
    if not tensors:
        shape = (0 if isinstance(dim, str) else dim for dim in spec.shape)
        return np.zeros(tuple(shape), spec.dtype)
    sizes = np.array([tensor.shape for tensor in tensors])
    largest = sizes.max(axis=0, initial=0) if sizes.size else ()
    if not sizes.size or (sizes == largest).all():
        return np.stack(tensors)
    if pad is None:
        raise InputError(
            f"Got samples whose '{spec.name}' differs in size: {_words(tensors)}.",
            hint="This kind of data is not padded: take batches of one size, or of one sample.",
        )
    made = np.full((len(tensors), *largest), pad, tensors[0].dtype)
    for row, tensor in zip(made, tensors, strict=True):
        row[tuple(slice(size) for size in tensor.shape)] = tensor
    return made


def sizes_of(samples: Sequence[Batch], specs: Sequence[TensorSpec]) -> Tensor:
    """Returns the size of each free dimension in each sample, int64 (n, dimensions)."""
    names = [spec.name for spec in specs]
    where = {dim: (spec.name, axis - 1) for spec in specs for axis, dim in spec.free.items()}
    places = [where[dim] for dim in free_dimensions(specs)]
    tensors = [named(sample, names) for sample in samples]
    rows = [[sample[name].shape[axis] for name, axis in places] for sample in tensors]
    return np.array(rows, np.int64).reshape(len(samples), len(places))


def _words(tensors: Sequence[Tensor]) -> str:
    shapes = list(dict.fromkeys(str(list(tensor.shape)) for tensor in tensors))
    return ", ".join(shapes[:4]) + (", …" if len(shapes) > 4 else "")
