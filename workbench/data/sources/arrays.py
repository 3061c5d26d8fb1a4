"""Arrays in memory: inputs and targets as NumPy arrays or lists."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from workbench.core.config import Config
from workbench.core.errors import InputError
from workbench.core.ids import digest_json
from workbench.data.chunks import chunks
from workbench.data.collected import Collected, Progress, Reader
from workbench.data.modalities import MODALITIES
from workbench.data.source import Source, SourceConfig
from workbench.data.split import part_code
from workbench.store import Store
from workbench.tasks import TASKS, infer_task

_DEFAULTS = ("table", "image")


class ArraysConfig(SourceConfig):
    """Arrays and what they mean."""

    inputs: Any = Field(
        exclude=True,
        description="Images N×H×W or N×H×W×C (uint8 or float), rows N×F, or series N×C×T; an array "
        "or a list.",
    )
    targets: Any = Field(
        exclude=True,
        description="N class indices into labels, N label names, N values (or N×k of several), "
        "N lists of label names (or N×labels of 0 and 1), or what each place of N samples is.",
    )
    modality: str | None = Field(
        default=None,
        description="What the inputs are: image, table, series, …; by default rows if they have "
        "two axes, else pictures.",
    )
    labels: tuple[str, ...] | None = Field(default=None, description="Class names.")
    task: str | None = Field(default=None, description="By default inferred from the targets.")
    columns: tuple[str, ...] | None = Field(
        default=None, description="Names of the columns of rows."
    )
    parts: Any = Field(
        default=None, exclude=True, description="N words train, val or test: a given split."
    )
    groups: Any = Field(
        default=None, exclude=True, description="N values; samples of one group stay in one split."
    )
    time: Any = Field(
        default=None, exclude=True, description="N sortable values; test is the latest."
    )


class Arrays(Source):
    """NumPy arrays or nested lists."""

    summary = "Arrays: inputs, targets, modality, labels"
    Config: ClassVar[type[Config]] = ArraysConfig

    def open(self, config: ArraysConfig, store: Store) -> Reader:
        """Returns a reader of the arrays."""
        return ArraysReader(config, "arrays")


PLUGIN = Arrays()


class ArraysReader(Reader):
    """Checks arrays: every bad row is told, none is dropped."""

    def __init__(self, config: ArraysConfig, name: str, place: Any = None) -> None:
        self.name = name
        self._config = config
        self._place = place or (lambda index: f"row {index}")
        self._problems: list[str] = []
        self._inputs = self._stacked(config.inputs)
        self._targets = _targets(config.targets)

    def fingerprint(self, progress: Progress) -> str:
        """Hashes dtype, shape and bytes of everything given."""
        sha = hashlib.sha256()
        if self._inputs is not None:
            sha.update(f"{self._inputs.dtype.str}{self._inputs.shape}".encode())
            for rows in chunks(self._inputs):
                sha.update(np.ascontiguousarray(self._inputs[rows]).tobytes())
        extras = {
            name: [repr(value) for value in _listed(given, name)]
            for name in ("parts", "groups", "time")
            if (given := getattr(self._config, name)) is not None
        }
        return digest_json({"inputs": sha.hexdigest(), "targets": _digest(self._targets), **extras})

    def collect(self, progress: Progress) -> Collected:
        """Checks lengths, numbers and targets, and gathers what is wrong."""
        config, problems = self._config, list(self._problems)
        count = len(config.inputs)
        if not count:
            raise InputError("The inputs are empty.", hint="Give at least a few samples.")
        problems += self._lengths(count)
        if self._inputs is not None:
            problems += _not_finite(self._inputs, self._place)
            if self._inputs.ndim == 1:
                problems.append("inputs have one axis; give N×F rows or N×H×W images")
        task = config.task or self._inferred()
        modality = config.modality or self._default_modality()
        axes = MODALITIES.get(modality).place_axes
        targets = TASKS.get(task).targets(self._targets, config.labels, self._place, axes)
        given, bad_parts = _given(config.parts, self._place)
        problems += targets.problems + bad_parts
        if problems and (self._inputs is None or len(targets.values) != count):
            self._raise(problems)
        self._check_rank(modality, problems)
        return Collected(
            modality=modality,
            task=task,
            labels=targets.labels,
            samples=self._inputs,  # type: ignore[arg-type]
            targets=targets.values,
            place=self._place,
            given=given,
            groups=None if config.groups is None else np.asarray(config.groups),
            time=None if config.time is None else np.asarray(config.time),
            problems=tuple(problems),
            options={"columns": config.columns},
        )

    def _stacked(self, inputs: Any) -> np.ndarray | None:
        if hasattr(inputs, "detach"):
            inputs = inputs.detach().cpu()
        try:
            array = np.asarray(inputs)
        except ValueError:
            array = np.empty(0, object)
        if array.dtype == object:
            self._problems += _ragged(inputs, self._place)
            return None
        if array.dtype.kind not in "buif" or array.ndim == 0:
            raise InputError(
                f"The inputs are {array.dtype} of shape {array.shape}.",
                hint="Give numbers: N×H×W or N×H×W×C images, or N×F rows.",
            )
        return array if array.dtype == np.uint8 else array.astype(np.float32)

    def _inferred(self) -> str:
        return infer_task(self._targets, is_labeled=self._config.labels is not None)

    def _lengths(self, count: int) -> list[str]:
        given = {
            name: value
            for name in ("targets", "parts", "groups", "time")
            if (value := getattr(self._config, name)) is not None
        }
        return [
            f"{name} has {len(value)} entries, inputs has {count}"
            for name, value in given.items()
            if len(value) != count
        ]

    def _default_modality(self) -> str:
        rank = None if self._inputs is None else self._inputs.ndim
        return next(
            (key for key in _DEFAULTS if rank in MODALITIES.get(key).array_ranks), _DEFAULTS[-1]
        )

    def _check_rank(self, modality: str, problems: list[str]) -> None:
        about, array = MODALITIES.get(modality), self._inputs
        if array is not None and array.ndim not in about.array_ranks:
            problems.append(
                f"inputs have shape {array.shape}; as '{modality}' they are {about.array_words}"
            )
            self._raise(problems)

    def _raise(self, problems: Sequence[str]) -> None:
        raise InputError(
            f"The arrays have {len(problems)} problems; nothing was stored.",
            problems=problems[:1000],
            hint="Mend or remove these places and load again.",
        )


def _targets(values: Any) -> list[Any] | np.ndarray:
    """Returns targets of one value a sample, or lists of names, as a list; others as an array."""
    if hasattr(values, "detach"):
        values = values.detach().cpu().numpy()
    if isinstance(values, (list, tuple)) and not any(hasattr(v, "__len__") for v in values):
        return list(values)
    try:
        array = np.asarray(values)
    except ValueError:  # lists of different lengths
        return list(values)
    if array.ndim == 0:
        raise InputError("The targets have no axis; give one target a sample.")
    if array.dtype.kind not in "biuf" and array.ndim > 1:
        return list(values)
    if array.ndim == 1 or array.shape[1:] == (1,):
        return list(array.reshape(-1).tolist())
    return array


def _digest(targets: list[Any] | np.ndarray) -> Any:
    if isinstance(targets, list):
        return [repr(value) for value in targets]
    content = np.ascontiguousarray(targets).tobytes()
    return f"{targets.dtype.str}{targets.shape}{hashlib.sha256(content).hexdigest()}"


def _listed(values: Any, name: str) -> list[Any]:
    if hasattr(values, "detach"):
        values = values.detach().cpu().numpy()
    array = np.asarray(values, object) if isinstance(values, (list, tuple)) else np.asarray(values)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        raise InputError(f"{name} has shape {array.shape}; right is one axis, (N,).")
    listed: list[Any] = array.tolist()
    return listed


def _not_finite(array: np.ndarray, place: Any) -> list[str]:
    if array.dtype == np.uint8:
        return []
    problems = []
    for rows in chunks(array):
        flat = array[rows].reshape(rows.stop - rows.start, -1)
        counts = (~np.isfinite(flat)).sum(1)
        problems += [
            f"{place(rows.start + int(i))}: {int(counts[i])} values are NaN or infinite"
            for i in np.flatnonzero(counts)
        ]
    return problems


def _ragged(inputs: Any, place: Any) -> list[str]:
    shapes = [_shape(value) for value in inputs]
    usual, _ = Counter(shapes).most_common(1)[0]
    return [
        f"{place(i)}: shape {shape}, most have {usual}"
        if shape is not None
        else f"{place(i)}: not an array of numbers"
        for i, shape in enumerate(shapes)
        if shape != usual or shape is None
    ]


def _shape(value: Any) -> tuple[int, ...] | None:
    try:
        array = np.asarray(value)
    except ValueError:
        return None
    return array.shape if array.dtype.kind in "buif" else None


def _given(parts: Any, place: Any) -> tuple[np.ndarray | None, list[str]]:
    if parts is None:
        return None, []
    codes = [part_code(word) for word in parts]
    problems = [
        f"{place(i)}: split {parts[i]!r} is none of train, val, test"
        for i, code in enumerate(codes)
        if code is None
    ]
    return np.array([code or 0 for code in codes], np.int8), problems
