"""A prepared dataset: memory-mapped splits, and everything that was learned of it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, overload

import numpy as np

from workbench.core.batch import Batch, each
from workbench.core.errors import NotFoundError, UnsupportedError
from workbench.core.records import Finding, Sample
from workbench.core.shown import Shown
from workbench.core.signature import TensorSpec
from workbench.data.augment import Augment, AugmentStep, parse_augment
from workbench.data.baseline import baseline_of
from workbench.data.collate import sizes_of
from workbench.data.modalities import MODALITIES
from workbench.data.modality import Modality
from workbench.data.raw_files import OFFSETS
from workbench.data.split import PARTS
from workbench.data.stored import SIZES, Samples, columns_of, file_of, is_one_array
from workbench.store import Artifact, Store

KIND = "dataset"


class Split(Sequence[Sample]):
    """One part of a dataset. Indexing gives raw samples, `batch` gives tensors.

    Attributes:
        name: "train", "val" or "test".
        inputs: Prepared samples as stored and memory-mapped: an array (N, *sample_shape) where
            they are one tensor of one shape, else a sequence of samples.
        targets: Shape (N, …), as the task stores them: int64 class indices, float32 values, ….
        indices: int64, shape (N,): the number of each sample in its source.
    """

    def __init__(
        self,
        name: str,
        folder: _Files,
        modality: Modality,
        preprocessing: Any,
        augment: Augment | None,
    ) -> None:
        self.name = name
        self._files = folder
        self._modality = modality
        self._preprocessing = preprocessing
        self._augment = augment
        self.targets: np.ndarray = folder.array(f"{name}.targets.npy", mapped=False)
        self.indices: np.ndarray = folder.array(f"{name}.indices.npy", mapped=False)

    @cached_property
    def inputs(self) -> Any:
        """Prepared samples as stored, memory-mapped and read-only; re-hashed once a process.

        Raises:
            IntegrityError: They are not what was stored.
        """
        return self._stored(proven=True)

    @cached_property
    def glimpse(self) -> Any:
        """The same, but not re-hashed: for who shows a few and would wait for all."""
        return self._stored(proven=False)

    @property
    def sample_size(self) -> int:
        """How many values a sample has; of the largest where they differ."""
        if self._is_one:
            return math.prod(self.inputs.shape[1:])
        return int(self.inputs.largest())

    @cached_property
    def decoded(self) -> tuple[TensorSpec, ...]:
        """The tensors that are stored; a batch may have more."""
        return self._modality.decoded(self._preprocessing)

    @cached_property
    def signature(self) -> tuple[TensorSpec, ...]:
        """The tensors of a batch."""
        return self._modality.signature(self._preprocessing)

    @property
    def _is_one(self) -> bool:
        return is_one_array(self.decoded)

    @cached_property
    def _is_collated(self) -> bool:
        """Whether a batch is more than the rows of what is stored."""
        return not self._is_one or self.decoded != self.signature

    def _stored(self, *, proven: bool) -> Any:
        arrays = {
            spec.name: self._files.array(
                f"{self.name}.{file_of(spec, self.decoded)}", mapped=True, proven=proven
            )
            for spec in self.decoded
        }
        if self._is_one:
            return next(iter(arrays.values()))
        sizes = self._files.array(f"{self.name}.{SIZES}", mapped=False, proven=proven)
        return Samples(columns_of(self.decoded, arrays, sizes), len(self))

    def __len__(self) -> int:
        return len(self.targets)

    @overload
    def __getitem__(self, index: int) -> Sample: ...
    @overload
    def __getitem__(self, index: slice) -> list[Sample]: ...
    def __getitem__(self, index: int | slice) -> Sample | list[Sample]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        number = index + len(self) if index < 0 else index
        if not 0 <= number < len(self):
            raise IndexError(f"{self.name} has {len(self)} samples, no number {index}")
        target = self.targets[number]
        return Sample(self._raw(number), target.item() if target.ndim == 0 else target.copy())

    def __repr__(self) -> str:
        return f"<{self.name}: {len(self)} samples>"

    def batch(self, indices: Any) -> tuple[Any, np.ndarray]:
        """Returns samples at `indices`: inputs as the signature has them, targets (n, …).

        Inputs are an array (n, *sample_shape) where they are one tensor, else arrays by name.
        """
        rows = np.asarray(indices)
        if not self._is_collated:
            return np.array(self.inputs[rows], self.decoded[0].dtype, order="C"), self.targets[rows]
        return self.collated(list(self.inputs[rows])), self.targets[rows]

    def collated(self, samples: Sequence[Batch]) -> Batch:
        """Returns prepared samples as one batch."""
        return self._modality.collate(samples, self._preprocessing)

    def batches(
        self, batch_size: int, *, seed: int | None = None, start: int = 0
    ) -> Iterator[tuple[Any, np.ndarray]]:
        """Yields inputs and targets as `batch` does, n at a time; the last may be fewer.

        Free dimensions are as long as the longest sample of their batch; where nothing says how to
        pad, a batch is taken apart into samples of one size.

        Args:
            batch_size: Samples in a batch.
            seed: None: in order and as they are. Else shuffled and, on train, augmented; the same
                seed gives the same batches.
            start: Number of the first batch, to go on in the middle of an epoch.
        """
        order = np.arange(len(self))
        if seed is not None:
            order = np.random.default_rng(seed).permutation(len(self))
        for number in range(start, math.ceil(len(self) / batch_size)):
            for rows in self._joinable(order[number * batch_size : (number + 1) * batch_size]):
                inputs, targets = self.batch(rows)
                if seed is not None and self._augment is not None:
                    inputs = self._augment(inputs, targets, np.random.default_rng([seed, number]))
                yield inputs, targets

    @property
    def is_padded(self) -> bool:
        """Whether any samples can be put into one batch."""
        has_free = any(spec.free for spec in self.decoded)
        return not has_free or self._modality.padding(self._preprocessing) is not None

    def _joinable(self, rows: np.ndarray) -> Iterator[np.ndarray]:
        """Yields the rows that may be in one batch, in the order of their first."""
        if self.is_padded:
            yield rows
            return
        sizes = sizes_of(self.inputs[rows], self.decoded)
        _, first, group = np.unique(sizes, axis=0, return_index=True, return_inverse=True)
        for number in np.argsort(first):
            yield rows[group.reshape(-1) == number]

    def _raw(self, number: int) -> Any:
        if not self._modality.keeps_raw(self._preprocessing):
            return self._modality.raw(each(np.array, self.glimpse[number]), self._preprocessing)
        start, end = self._offsets[number : number + 2]
        return self._modality.unpack(bytes(self._kept[start:end]), self._preprocessing)

    @cached_property
    def _offsets(self) -> np.ndarray:
        return self._files.array(f"{self.name}.{OFFSETS}", mapped=True, proven=False)

    @cached_property
    def _kept(self) -> np.ndarray:
        path = self._files.place(f"{self.name}.{self._modality.raw_file}")
        return np.memmap(path, np.uint8, "r") if path.stat().st_size else np.zeros(0, np.uint8)


class Dataset(Shown):
    """A fingerprinted dataset with its splits. Made by `load`, opened again by `open_dataset`.

    Args:
        store: The workspace that holds it.
        artifact: Its artifact, of kind "dataset".
    """

    shown_as = "dataset"

    def __init__(self, store: Store, artifact: Artifact) -> None:
        self._store = store
        self.artifact = artifact
        self._files = _Files(store, artifact)

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.artifact.meta["name"])

    @property
    def fingerprint(self) -> str:
        """64 hexadecimal digits that change with each byte of the data and each option."""
        return str(self.artifact.meta["fingerprint"])

    @property
    def ref(self) -> str:
        """Its ref, as in "dataset:digits@4fa1c2"."""
        return f"dataset:{self.name}@{self.fingerprint[:6]}"

    @property
    def modality(self) -> str:
        """Key of the modality that decodes its inputs."""
        return str(self.artifact.meta["modality"])

    @property
    def task(self) -> str:
        """What is to be predicted."""
        return str(self.artifact.meta["task"])

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of what is told apart, in the order of the targets; empty for values."""
        return tuple(self.artifact.meta["labels"])

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """Shape of one prepared sample that is one tensor of one shape.

        Raises:
            UnsupportedError: It is several, or has free dimensions.
        """
        shape = self.artifact.meta["sample_shape"]
        if shape is None:
            raise UnsupportedError(
                f"The samples of {self.ref} have no one shape: {self.shape_words}.",
                hint="See `signature`.",
            )
        return tuple(shape)

    @cached_property
    def signature(self) -> tuple[TensorSpec, ...]:
        """The tensors that a model of these samples takes; a string is a free dimension."""
        return MODALITIES.get(self.modality).signature(self.preprocessing)

    @property
    def shape_words(self) -> str:
        """What a sample is made of, as in "(1, 8, 8)" or "x float32 [time, 3], codes int64 [4]"."""
        shape = self.artifact.meta["sample_shape"]
        if shape is not None:
            return str(tuple(shape))
        return ", ".join(f"{spec.name} {spec.words}" for spec in self.signature)

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """What was noticed: missing values, copies across splits, columns left out."""
        return tuple(Finding.from_json(item) for item in self.artifact.meta["findings"])

    @cached_property
    def preprocessing(self) -> Any:
        """The modality's config, fitted on train; the endpoint decodes by the same one."""
        return preprocessing_from_json(self.artifact.meta["preprocessing"])

    @cached_property
    def normalization(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Mean and standard deviation of train, float32, to broadcast against one sample.

        None where samples go into the network as they are.
        """
        saved = self.artifact.meta["normalization"]
        if saved is None:
            return None
        return np.array(saved["mean"], np.float32), np.array(saved["std"], np.float32)

    @cached_property
    def augment(self) -> tuple[AugmentStep, ...]:
        """What is done to training batches."""
        return parse_augment(self.artifact.meta["augment"])

    @cached_property
    def train(self) -> Split:
        """The training samples."""
        augment = Augment(self.augment, self.labels) if self.augment else None
        return self._split("train", augment)

    @cached_property
    def val(self) -> Split:
        """The validation samples."""
        return self._split("val", None)

    @cached_property
    def test(self) -> Split:
        """The test samples, never used to choose."""
        return self._split("test", None)

    @cached_property
    def baseline(self) -> dict[str, Any] | None:
        """For tables: the validation score of scikit-learn's gradient boosting; else None.

        Computed at first access (seconds), then remembered by the workspace.
        """
        is_row = MODALITIES.get(self.modality).is_row
        return baseline_of(self, self._store.cache) if is_row else None

    def to_json(self) -> dict[str, Any]:
        """Returns what a list, a card or the command line shows, as JSON-able values."""
        meta = self.artifact.meta
        return {
            "ref": self.ref,
            "name": self.name,
            "fingerprint": self.fingerprint,
            "artifact": self.artifact.digest,
            "modality": self.modality,
            "task": self.task,
            "labels": list(self.labels),
            "sample_shape": meta["sample_shape"],
            "shape_words": self.shape_words,
            "samples": {part: len(getattr(self, part)) for part in PARTS},
            "augment": meta["augment"],
            "findings": meta["findings"],
            "size_bytes": self.artifact.size_bytes,
        }

    def __repr__(self) -> str:
        counts = ", ".join(f"{part} {len(getattr(self, part))}" for part in PARTS)
        classes = f"{len(self.labels)} labels" if self.labels else "values"
        return (
            f"<{self.ref}: {self.modality} {self.shape_words}, {classes}, {counts}, "
            f"{len(self.findings)} findings>"
        )

    def _split(self, name: str, augment: Augment | None) -> Split:
        modality = MODALITIES.get(self.modality)
        return Split(name, self._files, modality, self.preprocessing, augment)


def open_dataset(store: Store, ref: str) -> Dataset:
    """Opens a prepared dataset; cheap, since its arrays are memory-mapped.

    Each part is re-hashed when it is first used for more than showing a few samples.

    Args:
        store: The workspace.
        ref: Its ref, as in "dataset:digits@4fa1c2", or the digest of its artifact.

    Raises:
        NotFoundError: There is none.
    """
    digest = ref
    if ref.startswith("dataset:"):
        digest = store.datasets.get(ref).artifact
    artifact = store.artifacts.get(digest)
    if artifact.kind != KIND:
        raise NotFoundError(f"The artifact {digest[:12]} is a {artifact.kind}, not a dataset.")
    return Dataset(store, artifact)


def preprocessing_from_json(saved: dict[str, Any]) -> Any:
    """Returns a modality's config from its saved form, `{"kind", "version", …}`."""
    options = {key: value for key, value in saved.items() if key not in ("kind", "version")}
    return MODALITIES.parse(saved["kind"], options)


class _Files:
    """The files of a dataset's artifact."""

    def __init__(self, store: Store, artifact: Artifact) -> None:
        self._store = store
        self._artifact = artifact

    def place(self, name: str) -> Path:
        return self._store.artifacts.place(self._artifact, name)

    def array(self, name: str, *, mapped: bool, proven: bool = True) -> np.ndarray:
        path = self._store.artifacts.path(self._artifact, name) if proven else self.place(name)
        loaded = np.load(path, mmap_mode="r" if mapped else None, allow_pickle=False)
        plain: np.ndarray = loaded.view(np.ndarray)
        return plain
