"""Arrays in memory: inputs and targets as NumPy arrays or lists."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from workbench.core.config import Config
from workbench.core.errors import InputError
from workbench.core.ids import digest_json
from workbench.data.collected import Collected, Progress, Reader
from workbench.data.given_inputs import given_inputs
from workbench.data.modalities import MODALITIES
from workbench.data.modality_options import ModalityOptions, parsed_options
from workbench.data.source import Source
from workbench.data.split import part_code
from workbench.store import Store
from workbench.tasks import TASKS, infer_task


class ArraysConfig(ModalityOptions):
    """Arrays and what they mean."""

    inputs: Any = Field(
        exclude=True,
        description="Images N×H×W or N×H×W×C (uint8 or float), rows N×F, or series N×C×T; an array "
        "or a list. Or several by name, each an array N×… or a list of N arrays, of any type. Or N "
        "samples of a modality without plain arrays, as clips: (samples, rate).",
    )
    targets: Any = Field(
        exclude=True,
        description="N class indices into labels, N label names, N values (or N×k of several), "
        "N lists of label names (or N×labels of 0 and 1), or what each place of N samples is.",
    )
    modality: str | None = Field(
        default=None,
        description="What the inputs are: image, table, series, audio, …; by default tensors if "
        "they have names, rows if they have two axes, else pictures.",
    )
    axes: dict[str, tuple[str | None, ...]] | None = Field(
        default=None,
        exclude=True,
        description="Names of the axes of one sample by input, as in {'x': ('time', None)}: an "
        "axis with a name, or in which samples differ, is a free dimension; equal names are one.",
    )
    options: dict[str, Any] = Field(
        default_factory=dict,
        exclude=True,
        description="Options of a modality without plain arrays, as seconds=2; they may also be "
        "given by themselves.",
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
        self._inputs = given_inputs(config.inputs, config.modality, config.axes, self._place)
        self._targets = _targets(config.targets)

    def fingerprint(self, progress: Progress) -> str:
        """Hashes dtype, shape and bytes of everything given."""
        extras = {
            name: [repr(value) for value in _listed(given, name)]
            for name in ("parts", "groups", "time")
            if (given := getattr(self._config, name)) is not None
        }
        if self._config.options:
            extras["options"] = [repr(item) for item in sorted(self._config.options.items())]
        inputs, targets = self._inputs.digest(), _digest(self._targets)
        return digest_json({"inputs": inputs, "targets": targets, **extras})

    def collect(self, progress: Progress) -> Collected:
        """Checks lengths, numbers and targets, and gathers what is wrong."""
        config, inputs = self._config, self._inputs
        if not inputs.count and not inputs.problems:
            raise InputError("The inputs are empty.", hint="Give at least a few samples.")
        problems = [*inputs.problems, *inputs.value_problems()]
        problems += self._lengths(inputs.count) if inputs.count else []
        task = config.task or self._inferred()
        modality = config.modality or inputs.default_modality()
        axes = MODALITIES.get(modality).place_axes
        targets = TASKS.get(task).targets(self._targets, config.labels, self._place, axes)
        given, bad_parts = _given(config.parts, self._place)
        problems += targets.problems + bad_parts
        if problems and (inputs.samples is None or len(targets.values) != inputs.count):
            self._raise(problems)
        if misfits := inputs.misfits(modality):
            self._raise([*problems, *misfits])
        chosen = parsed_options(modality, config.options) if config.options else {}
        return Collected(
            modality=modality,
            task=task,
            labels=targets.labels,
            samples=inputs.samples,
            targets=targets.values,
            place=self._place,
            given=given,
            groups=None if config.groups is None else np.asarray(config.groups),
            time=None if config.time is None else np.asarray(config.time),
            shapes=inputs.sizes(chosen),
            problems=tuple(problems),
            options={"columns": config.columns, **inputs.options(), **chosen},
        )

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
