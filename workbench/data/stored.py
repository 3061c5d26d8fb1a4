"""Prepared samples on disk: one .npy file a tensor, memory-mapped.

Samples that are one tensor of one shape lie in `PART.inputs.npy`, others in `PART.inputs.NAME.npy`.
A tensor with free dimensions lies flat, sample after sample, and `PART.sizes.npy`, int64
(N, dimensions), tells the sizes; where each sample begins follows from them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO, overload

import numpy as np

from workbench.core.batch import Batch, Tensor
from workbench.core.signature import TensorSpec, free_dimensions

SIZES = "sizes.npy"


def is_one_array(specs: Sequence[TensorSpec]) -> bool:
    """Returns whether samples are one tensor of one shape, stored as one array."""
    return len(specs) == 1 and not specs[0].free


def file_of(spec: TensorSpec, specs: Sequence[TensorSpec]) -> str:
    """Returns the name of a tensor's file, after that of the part."""
    return "inputs.npy" if is_one_array(specs) else f"inputs.{spec.name}.npy"


class TensorWriter:
    """Writes an .npy file bit by bit; how long it is need not be known.

    Args:
        file: Opened for writing, empty.
        dtype: Of the values.
        shape: Of one row.
    """

    def __init__(self, file: BinaryIO, dtype: str, shape: Sequence[int] = ()) -> None:
        self._file = file
        self._dtype = np.dtype(dtype)
        self._shape = tuple(shape)
        self._count = 0
        self._header()

    def add(self, rows: Tensor) -> None:
        """Adds rows (n, *shape)."""
        self._file.write(np.ascontiguousarray(rows, self._dtype).tobytes())
        self._count += len(rows)

    def finish(self) -> None:
        """Writes the number of rows into the header, which has room for it."""
        self._file.seek(0)
        self._header()
        self.close()

    def close(self) -> None:
        """Lets go of the file, finished or not."""
        self._file.close()

    def _header(self) -> None:
        shape = (self._count, *self._shape)
        header = {"descr": self._dtype.str, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(self._file, header)


class TextWriter:
    """Does what `TensorWriter` does, for texts: the longest tells how wide each is stored."""

    def __init__(self, file: BinaryIO, shape: Sequence[int]) -> None:
        self._file = file
        self._rows: list[Tensor] = [np.zeros((0, *shape), "U1")]

    def add(self, rows: Tensor) -> None:
        """Adds rows (n, …)."""
        self._rows.append(rows)

    def finish(self) -> None:
        """Writes them all."""
        np.save(self._file, np.concatenate(self._rows), allow_pickle=False)
        self.close()

    def close(self) -> None:
        """Lets go of the file, finished or not."""
        self._file.close()


class Ragged(Sequence[Tensor]):
    """Arrays of different sizes that lie flat in one.

    Args:
        flat: All values.
        shapes: int64 (N, axes): the shape of each.
    """

    def __init__(self, flat: Tensor, shapes: Tensor) -> None:
        self._flat = flat
        self._shapes = shapes
        self._ends = np.concatenate([[0], np.cumsum(shapes.prod(axis=1, dtype=np.int64))])

    def __len__(self) -> int:
        return len(self._shapes)

    @overload
    def __getitem__(self, index: int) -> Tensor: ...
    @overload
    def __getitem__(self, index: slice) -> list[Tensor]: ...
    def __getitem__(self, index: int | slice) -> Tensor | list[Tensor]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        start, end = self._ends[index], self._ends[index + 1]
        return self._flat[start:end].reshape(self._shapes[index])


class Samples(Sequence[Batch]):
    """Stored samples that are several tensors or differ in size, each as it was decoded.

    Args:
        columns: N tensors by name.
        length: N.
    """

    def __init__(self, columns: Mapping[str, Tensor | Ragged], length: int) -> None:
        self.columns = dict(columns)
        self._length = length

    def __len__(self) -> int:
        return self._length

    @overload
    def __getitem__(self, index: int) -> Batch: ...
    @overload
    def __getitem__(self, index: slice | Sequence[int] | Tensor) -> list[Batch]: ...
    def __getitem__(self, index: Any) -> Batch | list[Batch]:
        if isinstance(index, slice):
            index = range(*index.indices(self._length))
        if isinstance(index, (Sequence, np.ndarray)):
            return [self[int(i)] for i in index]
        sample = {name: np.asarray(column[index]) for name, column in self.columns.items()}
        return sample if len(sample) > 1 else next(iter(sample.values()))

    def largest(self) -> int:
        """Returns how many values the largest sample has."""
        totals = [_values(column) for column in self.columns.values()]
        return int(np.max(np.sum(totals, axis=0), initial=1))


def columns_of(
    specs: Sequence[TensorSpec], arrays: Mapping[str, Tensor], sizes: Tensor
) -> dict[str, Tensor | Ragged]:
    """Returns stored tensors by name, those with free dimensions cut into samples.

    Args:
        specs: What they are.
        arrays: Content of the files by tensor.
        sizes: int64 (N, dimensions), in the order of `free_dimensions`.
    """
    dims = free_dimensions(specs)
    return {
        spec.name: Ragged(arrays[spec.name], _shapes(spec, dims, sizes))
        if spec.free
        else arrays[spec.name]
        for spec in specs
    }


def _shapes(spec: TensorSpec, dims: Sequence[str], sizes: Tensor) -> Tensor:
    columns = [
        sizes[:, dims.index(dim)] if isinstance(dim, str) else np.full(len(sizes), dim, np.int64)
        for dim in spec.sample_shape
    ]
    return np.stack(columns, axis=1)


def _values(column: Tensor | Ragged) -> Any:
    if isinstance(column, Ragged):
        return column._shapes.prod(axis=1)
    return np.full(len(column), int(np.prod(column.shape[1:])))
