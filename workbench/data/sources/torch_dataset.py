"""A torch `Dataset` or `DataLoader`, or anything with numbered items. No torch here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from pydantic import Field, model_validator

from workbench.core.config import Config
from workbench.core.errors import InputError
from workbench.core.files import open_private, take_space
from workbench.core.records import Finding
from workbench.data import pictures
from workbench.data.collected import Collected, Progress, Reader
from workbench.data.problems import Problems
from workbench.data.source import Source, SourceConfig
from workbench.data.sources.arrays import ArraysConfig, ArraysReader
from workbench.data.split import PARTS
from workbench.store import Store
from workbench.store.scratch import scratch_name

_INPUTS = ("input", "inputs", "image", "img", "pixel_values", "x")
_TARGETS = ("target", "targets", "label", "labels", "y")
_EVERY = 64


class TorchDatasetConfig(SourceConfig):
    """A dataset, and if it has them its validation and test sets."""

    dataset: Any = Field(exclude=True, description="Items are (input, target) pairs or mappings.")
    val: Any = Field(
        default=None, exclude=True, description="Validation set; then `dataset` is train."
    )
    test: Any = Field(default=None, exclude=True, description="Test set; then `dataset` is train.")
    modality: str | None = Field(default=None, description="What the inputs are.")
    labels: tuple[str, ...] | None = Field(
        default=None, description="Class names; by default the dataset's `classes`."
    )
    task: str | None = Field(default=None, description="By default inferred from the targets.")
    groups: Any = Field(
        default=None,
        exclude=True,
        description="A value for each item; items of one group stay in one split.",
    )
    time: Any = Field(
        default=None,
        exclude=True,
        description="A sortable value for each item; test is the latest.",
    )

    @model_validator(mode="after")
    def _one_way_to_split(self) -> TorchDatasetConfig:
        ways = {"groups": self.groups, "time": self.time, "val or test": (self.val or self.test)}
        given = [name for name, value in ways.items() if value is not None]
        if len(given) > 1:
            raise ValueError(f"{' and '.join(given)} all say how to split; give one")
        return self


class TorchDataset(Source):
    """Read once, item by item, into a file; its random transforms are frozen by that."""

    summary = "A torch Dataset or DataLoader, or any sequence of (input, target)"
    Config: ClassVar[type[Config]] = TorchDatasetConfig

    def open(self, config: TorchDatasetConfig, store: Store) -> Reader:
        """Returns a reader of the items."""
        return _TorchReader(config, store.home.scratch)


PLUGIN = TorchDataset()


class _TorchReader(Reader):
    def __init__(self, config: TorchDatasetConfig, scratch: Path) -> None:
        self.name = "torch_dataset"
        self._config = config
        self._spool = scratch / scratch_name(".npy")
        self._reader: ArraysReader | None = None
        self._findings: tuple[Finding, ...] = ()

    def fingerprint(self, progress: Progress) -> str:
        """Reads all items into a scratch file and hashes them."""
        return self._arrays(progress).fingerprint(progress)

    def collect(self, progress: Progress) -> Collected:
        """Checks what was read as arrays are checked."""
        collected = self._arrays(progress).collect(progress)
        findings = (*collected.findings, *self._findings)
        return replace(collected, findings=findings)

    def close(self) -> None:
        """Deletes the scratch file."""
        self._reader = None
        self._spool.unlink(missing_ok=True)

    def _arrays(self, progress: Progress) -> ArraysReader:
        if self._reader is None:
            self._reader = self._read(progress)
        return self._reader

    def _read(self, progress: Progress) -> ArraysReader:
        given = {"train": self._config.dataset, "val": self._config.val, "test": self._config.test}
        sets = {part: _unwrapped(data) for part, data in given.items() if data is not None}
        where = [
            (part, index) for part in PARTS if part in sets for index in range(_count(sets[part]))
        ]
        if not where:
            raise InputError("The dataset is empty.", hint="Give one with at least a few items.")
        self._findings = _is_random(sets["train"])
        inputs, targets = self._spooled(sets, where, progress)
        arrays = ArraysConfig(
            inputs=inputs,
            targets=targets,
            modality=self._config.modality,
            labels=self._config.labels or _classes(sets["train"], targets),
            task=self._config.task,
            parts=[part for part, _ in where] if len(sets) > 1 else None,
            groups=self._config.groups,
            time=self._config.time,
        )
        several = len(sets) > 1
        return ArraysReader(
            arrays,
            self.name,
            lambda i: f"{where[i][0]} item {where[i][1]}" if several else f"item {where[i][1]}",
        )

    def _spooled(
        self, sets: Mapping[str, Any], where: Sequence[tuple[str, int]], progress: Progress
    ) -> tuple[np.ndarray, list[Any]]:
        first, _ = _item(sets[where[0][0]][where[0][1]])
        dtype = np.uint8 if first.dtype == np.uint8 else np.float32
        open_private(self._spool, "xb").close()
        spool = np.lib.format.open_memmap(self._spool, "w+", dtype, (len(where), *first.shape))
        take_space(self._spool)
        targets: list[Any] = []
        problems = Problems()
        for row, (part, index) in enumerate(where):
            try:
                value, target = _item(sets[part][index])
                if value.shape != first.shape:
                    raise InputError(f"shape {value.shape}, the first item has {first.shape}")
                spool[row] = value
                targets.append(target)
            except InputError as error:
                problems.add(f"{part} item {index}: {error.message}")
            if row % _EVERY == 0 or row + 1 == len(where):
                progress(row + 1, len(where), "reading")
        problems.raise_if_any("The dataset", hint=_HINT)
        return spool, targets


_HINT = "Items must be (input, target), all inputs of one shape; resize in the dataset's transform."


def _unwrapped(data: Any) -> Any:
    is_loader = hasattr(data, "batch_size") and hasattr(data, "dataset")
    return data.dataset if is_loader else data


def _count(data: Any) -> int:
    try:
        return len(data)
    except TypeError as error:
        raise InputError(
            f"A {type(data).__name__} has no length.",
            hint="Give a dataset with numbered items, or load its arrays.",
        ) from error


def _item(item: Any) -> tuple[np.ndarray, Any]:
    if isinstance(item, Mapping):
        item = [_picked(item, _INPUTS), _picked(item, _TARGETS)]
    if not isinstance(item, (tuple, list)) or len(item) != 2:
        raise InputError(f"a {type(item).__name__} is no (input, target) pair")
    return _numbers(item[0]), _plain(item[1])


def _picked(item: Mapping[str, Any], names: Sequence[str]) -> Any:
    found = [name for name in names if name in item]
    if len(found) != 1:
        raise InputError(f"a mapping with {sorted(item)}; one of {', '.join(names)} is needed")
    return item[found[0]]


def _numbers(value: Any) -> np.ndarray:
    if pictures.is_picture(value):
        channels = pictures.channels_of(value)
        array = pictures.picture_array(value, channels, (value.size[1], value.size[0]), "stretch")
        return array[:, :, 0] if channels == 1 else array
    array = np.asarray(value.detach().cpu() if hasattr(value, "detach") else value)
    if array.dtype.kind not in "buif" or array.ndim == 0:
        raise InputError(f"the input is a {type(value).__name__}, not numbers")
    return array


def _plain(target: Any) -> Any:
    if hasattr(target, "detach"):
        target = target.detach().cpu()
    if isinstance(target, (str, int, float)):
        return target
    array = np.asarray(target)
    if array.size != 1 or array.dtype.kind not in "buif":
        raise InputError(f"the target has shape {array.shape}; one number or name is right")
    return array.reshape(()).item()


def _classes(data: Any, targets: Sequence[Any]) -> tuple[str, ...] | None:
    for inner in _inside(data):
        names = getattr(inner, "classes", None)
        if isinstance(names, (list, tuple)) and all(isinstance(name, str) for name in names):
            is_index = all(isinstance(target, int) for target in targets)
            return tuple(names) if is_index else None
    return None


def _inside(data: Any) -> Iterator[Any]:
    while data is not None:
        yield data
        parts = getattr(data, "datasets", None)
        data = parts[0] if parts else getattr(data, "dataset", None)


def _is_random(data: Any) -> tuple[Finding, ...]:
    first, again = _item(data[0])[0], _item(data[0])[0]
    if first.shape == again.shape and np.array_equal(first, again):
        return ()
    message = (
        "The dataset gives another input when read twice: its random transforms are frozen as "
        "read. Take them out and use augment=."
    )
    return (Finding("random_dataset", message),)
