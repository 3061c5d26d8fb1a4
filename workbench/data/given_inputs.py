"""Inputs as arrays in memory: one array of all samples, or arrays by name."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from workbench.core.errors import InputError
from workbench.data.chunks import chunks
from workbench.data.listed import digest_of, measured
from workbench.data.modalities import MODALITIES
from workbench.data.named_arrays import Axes, Column, NamedArrays, Place, as_column, specs_of

_DEFAULTS = ("table", "image")
_NAMED = "tensors"


class GivenInputs(ABC):
    """What was given as inputs.

    Attributes:
        samples: N raw samples; None if they cannot be put together.
        count: N.
        problems: What is wrong with single samples.
    """

    samples: Any
    count: int
    problems: list[str]

    @abstractmethod
    def digest(self) -> str:
        """Returns the SHA-256 of all that was given."""

    @abstractmethod
    def default_modality(self) -> str:
        """Returns what such inputs usually are."""

    @abstractmethod
    def misfits(self, modality: str) -> list[str]:
        """Returns why they are not what a modality takes."""

    def value_problems(self) -> list[str]:
        """Returns where values are wrong that no modality could take."""
        return []

    def options(self) -> dict[str, Any]:
        """Returns what the modality must know of all samples, not of train alone."""
        return {}

    def sizes(self, chosen: Mapping[str, Any]) -> np.ndarray | None:
        """Returns what the modality measures of each sample, if samples are no plain arrays.

        Args:
            chosen: Options of the modality.

        Raises:
            InputError: There are such options, and these inputs do not ask for any.
        """
        if chosen:
            raise InputError(
                f"Got {', '.join(map(str, chosen))}, but arrays are taken as they are.",
                hint="Leave these options out; they are for samples in files.",
            )
        return None


def given_inputs(inputs: Any, modality: str | None, axes: Axes | None, place: Place) -> GivenInputs:
    """Returns the inputs in the form that fits.

    Raises:
        InputError: They are nothing of the kind.
    """
    if modality is not None and not MODALITIES.get(modality).array_ranks:
        return ListedInputs(inputs, modality, place)
    by_name = isinstance(inputs, Mapping)
    if by_name or (modality is not None and MODALITIES.get(modality).takes_names):
        return NamedInputs(inputs if by_name else {"input": inputs}, axes or {}, place)
    if axes is not None:
        raise InputError(
            "axes names axes of inputs by name, but one array was given.",
            hint="Give inputs={'x': X}, or leave axes= out.",
        )
    return PlainInputs(inputs, place)


class PlainInputs(GivenInputs):
    """One array, or a list of arrays of one shape: bytes stay bytes, all else is float32."""

    def __init__(self, inputs: Any, place: Place) -> None:
        self._place = place
        self.count = len(inputs)
        self.problems = []
        self.samples: np.ndarray | None = self._stacked(inputs)

    def digest(self) -> str:
        """Hashes dtype, shape and bytes."""
        sha = hashlib.sha256()
        if self.samples is not None:
            _update(sha, self.samples)
        return sha.hexdigest()

    def default_modality(self) -> str:
        """Rows if there are two axes, else pictures."""
        rank = None if self.samples is None else self.samples.ndim
        return next(
            (key for key in _DEFAULTS if rank in MODALITIES.get(key).array_ranks), _DEFAULTS[-1]
        )

    def misfits(self, modality: str) -> list[str]:
        """Looks at the number of axes."""
        about, array = MODALITIES.get(modality), self.samples
        if array is None or array.ndim in about.array_ranks:
            return []
        return [f"inputs have shape {array.shape}; as '{modality}' they are {about.array_words}"]

    def value_problems(self) -> list[str]:
        """NaN, infinity, and samples without an axis."""
        if self.samples is None:
            return []
        problems = _not_finite(self.samples, self._place)
        if self.samples.ndim == 1:
            problems.append("inputs have one axis; give N×F rows or N×H×W images")
        return problems

    def _stacked(self, inputs: Any) -> np.ndarray | None:
        if hasattr(inputs, "detach"):
            inputs = inputs.detach().cpu()
        try:
            array = np.asarray(inputs)
        except ValueError:
            array = np.empty(0, object)
        if array.dtype == object:
            self.problems += _ragged(inputs, self._place)
            return None
        if array.dtype.kind not in "buif" or array.ndim == 0:
            raise InputError(
                f"The inputs are {array.dtype} of shape {array.shape}.",
                hint="Give numbers: N×H×W or N×H×W×C images, or N×F rows.",
            )
        return array if array.dtype == np.uint8 else array.astype(np.float32)


class NamedInputs(GivenInputs):
    """Arrays by name, each an array (N, …) or a list of N arrays; every one keeps its type."""

    def __init__(self, inputs: Mapping[str, Any], axes: Axes, place: Place) -> None:
        found = {name: as_column(name, values, place) for name, values in inputs.items()}
        columns = {name: column for name, (column, _) in found.items()}
        self.problems = [problem for _, problems in found.values() for problem in problems]
        counts = {name: len(column) for name, column in columns.items()}
        self.count = max(counts.values(), default=0)
        if not self.problems and len(set(counts.values())) > 1:
            words = ", ".join(f"'{name}' {count}" for name, count in counts.items())
            self.problems.append(f"the inputs have different numbers of samples: {words}")
        is_good = bool(self.count) and not self.problems
        self.samples = NamedArrays(columns) if is_good else None
        self._specs = specs_of(columns, axes, place) if is_good else []
        self._axes = {name: list(names) for name, names in axes.items()}

    def digest(self) -> str:
        """Hashes names, types, shapes and bytes."""
        sha = hashlib.sha256(f"{self._axes}".encode())
        columns: Mapping[str, Column] = {} if self.samples is None else self.samples.columns
        for name, column in columns.items():
            sha.update(name.encode())
            for array in [column] if isinstance(column, np.ndarray) else column:
                _update(sha, array)
        return sha.hexdigest()

    def default_modality(self) -> str:
        """As they are."""
        return _NAMED

    def misfits(self, modality: str) -> list[str]:
        """Not every modality has names."""
        if MODALITIES.get(modality).takes_names:
            return []
        return [f"inputs by name are '{_NAMED}'; '{modality}' takes one array"]

    def options(self) -> dict[str, Any]:
        """Types and sizes of all samples."""
        return {"tensors": self._specs}


class ListedInputs(GivenInputs):
    """Samples of a modality that has no plain arrays, as files or clips: each stays what it is."""

    def __init__(self, inputs: Any, modality: str, place: Place) -> None:
        if isinstance(inputs, (str, bytes, Mapping)) or not hasattr(inputs, "__len__"):
            about = MODALITIES.get(modality)
            raise InputError(
                f"The inputs are a {type(inputs).__name__}.",
                hint=f"Give {about.array_words}.",
            )
        self._modality, self._place = modality, place
        self.samples = list(inputs)
        self.count = len(self.samples)
        self.problems = []

    def digest(self) -> str:
        """Hashes the content of each sample, of a file its bytes."""
        return digest_of(self.samples)

    def default_modality(self) -> str:
        """The one that was named."""
        return self._modality

    def misfits(self, modality: str) -> list[str]:
        """Each sample is looked at by the modality itself."""
        return []

    def sizes(self, chosen: Mapping[str, Any]) -> np.ndarray:
        """Asks the modality; every sample that it cannot take is told."""
        return measured(MODALITIES.get(self._modality), self.samples, chosen, self._place)


def _update(sha: Any, array: np.ndarray) -> None:
    sha.update(f"{array.dtype.str}{array.shape}".encode())
    if not array.ndim:
        sha.update(array.tobytes())
        return
    for rows in chunks(array):
        sha.update(np.ascontiguousarray(array[rows]).tobytes())


def _not_finite(array: np.ndarray, place: Place) -> list[str]:
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


def _ragged(inputs: Sequence[Any], place: Place) -> list[str]:
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
