"""The files of one part of a dataset while it is written."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from workbench.core.batch import Batch, Tensor, named
from workbench.core.signature import TensorSpec
from workbench.data.chunks import StoredArray
from workbench.data.collate import sizes_of
from workbench.data.stored import (
    SIZES,
    Samples,
    TensorWriter,
    TextWriter,
    columns_of,
    file_of,
    is_one_array,
)
from workbench.store import Blob
from workbench.store.blobs import PendingBlob


class PartFiles:
    """Takes prepared samples, and gives them back to be read.

    Args:
        specs: What a sample is made of.
        dtype: In which a sample of one array is stored.
        pending: Makes a file that becomes a blob.
    """

    def __init__(
        self, specs: Sequence[TensorSpec], dtype: str, pending: Callable[[], PendingBlob]
    ) -> None:
        self._specs = specs
        self._pending = {spec.name: pending() for spec in specs}
        self._writers = {
            spec.name: _writer(spec, self._pending[spec.name], dtype if self.is_one else spec.dtype)
            for spec in specs
        }
        self._sizes: list[Tensor] = []
        self._count = 0

    @property
    def is_one(self) -> bool:
        """Whether samples are one array."""
        return is_one_array(self._specs)

    def add(self, samples: Sequence[Batch]) -> None:
        """Adds samples: an array (n, …) where they are one array, else a list."""
        self._count += len(samples)
        if self.is_one:
            self._writers[self._specs[0].name].add(np.asarray(samples))
            return
        names = [spec.name for spec in self._specs]
        by_name = [named(sample, names) for sample in samples]
        for spec in self._specs:
            tensors = [sample[spec.name] for sample in by_name]
            rows = [tensor.ravel() for tensor in tensors]
            self._writers[spec.name].add(np.concatenate(rows) if spec.free else np.stack(tensors))
        self._sizes.append(sizes_of(samples, self._specs))

    def finish(self) -> None:
        """Ends every file; nothing can be added then."""
        for writer in self._writers.values():
            writer.finish()

    def close(self) -> None:
        """Lets go of the files, finished or not."""
        for writer in self._writers.values():
            writer.close()

    def samples(self) -> StoredArray | Samples:
        """Returns what was written, to be read in pieces."""
        paths = {name: pending.path for name, pending in self._pending.items()}
        if self.is_one:
            return StoredArray(next(iter(paths.values())))
        arrays = {name: np.load(path, mmap_mode="r") for name, path in paths.items()}
        return Samples(columns_of(self._specs, arrays, self._all_sizes()), self._count)

    def files(self) -> dict[str, bytes | Blob]:
        """Returns the published files by name, without the part's."""
        found: dict[str, bytes | Blob] = {}
        for spec in self._specs:
            blob = self._pending[spec.name].blob
            if blob is not None:
                found[file_of(spec, self._specs)] = blob
        if not self.is_one:
            found[SIZES] = npy(self._all_sizes())
        return found

    def _all_sizes(self) -> Tensor:
        return np.concatenate([*self._sizes, sizes_of([], self._specs)])


def npy(array: np.ndarray) -> bytes:
    """Returns an array as the bytes of an .npy file."""
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def _writer(spec: TensorSpec, pending: PendingBlob, dtype: str) -> Any:
    file = pending.path.open("wb")
    shape = [] if spec.free else [int(size) for size in spec.sample_shape]
    return TextWriter(file, shape) if spec.dtype == "str" else TensorWriter(file, dtype, shape)
