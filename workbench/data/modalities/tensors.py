"""Named arrays as they are: any type, any number, free dimensions where samples differ."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from pydantic import Field

from workbench.core.batch import Batch, Tensor, named
from workbench.core.config import Config
from workbench.core.errors import InputError, UnsupportedError, did_you_mean
from workbench.core.records import Finding
from workbench.core.signature import TensorSpec, free_dimensions, free_sizes
from workbench.data.collate import sizes_of
from workbench.data.modality import ExampleSamples, Modality, Sketch
from workbench.data.named_arrays import BATCH, KINDS, LENGTHS, NamedArrays, specs_of

_HUNDREDTH = 100
_WORDS = {"b": "truth values", "i": "whole numbers", "u": "whole numbers", "f": "numbers"}
_TAKEN = {"b": "b", "i": "iu", "u": "iu", "f": "buif", "U": "U"}


class TensorConfig(Config):
    """One tensor of a sample."""

    name: str = Field(description="Its name, also in the model.")
    dtype: str = Field(description="NumPy's name; texts are str.")
    shape: tuple[int | str, ...] = Field(description="Of one sample; a name is a free dimension.")
    scale: float = Field(default=1.0, description="Spread on train, by which copies are found.")


class TensorsConfig(Config):
    """The tensors of a sample. Nothing is normalised."""

    tensors: tuple[TensorConfig, ...] = Field(description="In the order of the signature.")


class Tensors(Modality):
    """Samples as arrays by name; see `TensorsConfig`.

    Samples of different sizes are padded with zeros to the longest of their batch, and the true
    sizes come along: an input `<dimension>_lengths`, int64 (batch,), for each free dimension.
    """

    summary = "Arrays by name, as they are: several inputs, any type, axes of any length"
    Config = TensorsConfig
    array_ranks = (1, 2, 3, 4, 5, 6)
    array_words = "N×… each"
    what = "samples"
    takes_names = True

    def examples(self, rng: np.random.Generator) -> ExampleSamples:
        """Series of different lengths beside codes."""
        series = [rng.random((3 + i % 4, 2), np.float32) for i in range(20)]
        samples = NamedArrays({"x": series, "codes": rng.integers(0, 9, (20, 3))})
        bad = [None, {"x": [[1.0, 2.0]]}, {"x": [[1.0, 2.0]], "codes": [0.5, 1, 2]}]
        return ExampleSamples(samples, bad, {"x": [[0.5, 1], [2, 3]], "codes": [1, 2, 3]})

    def fit(
        self, samples: Any, shapes: np.ndarray | None, options: Mapping[str, Any]
    ) -> tuple[TensorsConfig, tuple[Finding, ...]]:
        """Takes names, types and sizes as the source found them in all samples."""
        specs = options.get("tensors") or specs_of(samples.columns, {}, lambda i: f"sample {i}")
        tensors = tuple(
            TensorConfig(
                name=spec.name,
                dtype=spec.dtype,
                shape=spec.sample_shape,
                scale=_scale(samples.columns[spec.name]),
            )
            for spec in specs
        )
        return TensorsConfig(tensors=tensors), ()

    def decoded(self, config: TensorsConfig) -> tuple[TensorSpec, ...]:
        """The arrays themselves."""
        return tuple(TensorSpec(t.name, t.dtype, (BATCH, *t.shape)) for t in config.tensors)

    def signature(self, config: TensorsConfig) -> tuple[TensorSpec, ...]:
        """The arrays, and the true sizes of each free dimension."""
        specs = self.decoded(config)
        dims = free_dimensions(specs)
        return (*specs, *(TensorSpec(LENGTHS.format(dim), "int64", (BATCH,)) for dim in dims))

    def padding(self, config: TensorsConfig) -> dict[str, float]:
        """Zeros, since the true sizes are among the inputs."""
        return {spec.name: 0.0 for spec in self.decoded(config) if spec.free}

    def collate(self, samples: Sequence[Batch], config: TensorsConfig) -> Batch:
        """Adds the true sizes."""
        specs = self.decoded(config)
        batch = super().collate(samples, config)
        dims = free_dimensions(specs)
        if not dims:
            return batch
        sizes = sizes_of(samples, specs)
        lengths = {LENGTHS.format(dim): sizes[:, i].copy() for i, dim in enumerate(dims)}
        return {**named(batch, [spec.name for spec in specs]), **lengths}

    def decode(self, value: Any, config: TensorsConfig) -> Batch:
        """Every problem of a sample at once: names, types, sizes, values that are not finite."""
        specs, problems = self.decoded(config), list[str]()
        given = _by_name(value, specs)
        found = {spec.name: _tensor(given[spec.name], spec, problems) for spec in specs}
        problems = problems or _two_sizes(found, specs)
        if problems:
            raise InputError(
                "The sample is not as the model takes it.",
                problems=problems,
                hint=f"It takes {_wanted(specs)}.",
            )
        return found if len(specs) > 1 else found[specs[0].name]

    def split_batch(self, value: Any, config: TensorsConfig) -> list[Any]:
        """One more axis than a sample is a batch; so is a list of samples by name."""
        if isinstance(value, NamedArrays):
            return list(value)
        specs = self.decoded(config)
        if isinstance(value, Mapping):
            return _rows(value, specs)
        if isinstance(value, (list, tuple)) and value and isinstance(value[0], Mapping):
            return list(value)
        rank = len(specs[0].sample_shape)
        if len(specs) > 1 or _rank(value) <= rank:
            return [value]
        return list(value)

    def sample_shape(self, config: TensorsConfig) -> tuple[int, ...]:
        """That of the only array."""
        (first, *rest) = self.decoded(config)
        if rest or first.free:
            raise UnsupportedError(
                f"Samples of {self.shape_words(config)} have no one shape.", hint="See `signature`."
            )
        return tuple(int(size) for size in first.sample_shape)

    def example(self, config: TensorsConfig) -> Any:
        """Zeros by name, one long where a dimension is free."""
        return {
            spec.name: np.zeros(
                [size if isinstance(size, int) else 1 for size in spec.sample_shape], spec.dtype
            ).tolist()
            for spec in self.decoded(config)
        }

    def raw(self, prepared: Any, config: TensorsConfig) -> Any:
        """They are stored as they were given."""
        return prepared

    def shape_words(self, config: TensorsConfig) -> str:
        """Every array."""
        return _wanted(self.decoded(config))

    def sketch(self, prepared: Sequence[Batch], config: TensorsConfig) -> Sketch:
        """Digests of all arrays, floats rounded to a hundredth of their spread for near copies."""
        names = [tensor.name for tensor in config.tensors]
        samples = [list(named(sample, names).values()) for sample in prepared]
        scales = [tensor.scale for tensor in config.tensors]
        rounded = [
            [_rounded(tensor, scale) for tensor, scale in zip(sample, scales, strict=True)]
            for sample in samples
        ]
        return Sketch(_keys(samples), _keys(rounded))


PLUGIN = Tensors()


def _by_name(value: Any, specs: Sequence[TensorSpec]) -> Mapping[str, Any]:
    names = [spec.name for spec in specs]
    if not isinstance(value, Mapping):
        if len(names) == 1:
            return {names[0]: value}
        raise InputError(
            f"Got {type(value).__name__}; arrays by name are needed.",
            hint=f"Give an object with {_wanted(specs)}.",
        )
    problems = [f"'{name}' is missing" for name in names if name not in value]
    problems += [
        f"unknown tensor '{name}'{did_you_mean(str(name), names)}"
        for name in value
        if name not in names
    ]
    if problems:
        raise InputError(
            "The sample has other tensors than the model takes.",
            problems=problems,
            hint=f"It takes {_wanted(specs)}.",
        )
    return value


def _tensor(value: Any, spec: TensorSpec, problems: list[str]) -> Tensor:
    if hasattr(value, "detach"):
        value = value.detach().cpu().numpy()
    try:
        given = np.asarray(value)
    except ValueError:
        problems.append(f"'{spec.name}' has rows of different lengths")
        return np.zeros(0)
    dtype = np.dtype(spec.dtype)
    if given.dtype.kind not in _TAKEN[dtype.kind]:
        got = _WORDS.get(given.dtype.kind, "texts" if given.dtype.kind in KINDS else "no numbers")
        problems.append(f"'{spec.name}' holds {got}; {spec.dtype} is right")
        return given
    if not _has_shape(given, spec):
        problems.append(
            f"'{spec.name}' has shape {given.shape}; ({', '.join(map(str, spec.sample_shape))}) "
            "is right, at least one long"
        )
        return given
    with np.errstate(over="ignore"):
        tensor = given if dtype.kind == "U" else np.ascontiguousarray(given, dtype)
    problems += _value_problems(tensor, given, spec)
    return tensor.reshape(given.shape)


def _has_shape(given: Tensor, spec: TensorSpec) -> bool:
    return given.ndim == len(spec.sample_shape) and all(
        size == dim if isinstance(dim, int) else size > 0
        for size, dim in zip(given.shape, spec.sample_shape, strict=True)
    )


def _value_problems(tensor: Tensor, given: Tensor, spec: TensorSpec) -> list[str]:
    if tensor.dtype.kind == "f":
        count = int((~np.isfinite(tensor)).sum())
        what = f"NaN, infinite or beyond {spec.dtype}"
    elif tensor.dtype.kind in "iu":
        count = int((tensor != given).sum())
        what = f"beyond {spec.dtype}"
    else:
        return []
    return [f"{count} values of '{spec.name}' are {what}"] if count else []


def _two_sizes(found: Mapping[str, Tensor], specs: Sequence[TensorSpec]) -> list[str]:
    try:
        free_sizes({name: t[np.newaxis] for name, t in found.items()}, specs)
    except InputError as error:
        return [error.message]
    return []


def _rows(value: Mapping[str, Any], specs: Sequence[TensorSpec]) -> list[Any]:
    """Returns the samples of arrays by name: one, or as many as each array has rows."""
    ranks = {spec.name: len(spec.sample_shape) for spec in specs}
    counts = {
        name: len(values)
        for name, values in value.items()
        if name in ranks and _rank(values) > ranks[name]
    }
    if not counts:
        return [value]
    if len(set(counts.values())) > 1 or len(counts) != len(value):
        raise InputError(
            "The arrays hold different numbers of samples.",
            problems=[f"'{name}': {counts.get(name, 'one sample')}" for name in value],
            hint="Give one sample, or the same number of samples of each.",
        )
    count = next(iter(counts.values()))
    return [{name: values[i] for name, values in value.items()} for i in range(count)]


def _rank(value: Any) -> int:
    if hasattr(value, "ndim"):
        return int(value.ndim)
    if not isinstance(value, (list, tuple)):
        return 0
    return 1 + (_rank(value[0]) if len(value) else 0)


def _wanted(specs: Sequence[TensorSpec]) -> str:
    return ", ".join(f"{spec.name} {spec.words}" for spec in specs)


def _scale(column: Any) -> float:
    flat = column if isinstance(column, np.ndarray) else np.concatenate([c.ravel() for c in column])
    spread = float(np.std(flat, dtype=float)) if flat.dtype.kind == "f" else 1.0
    return spread if np.isfinite(spread) and spread > 0 else 1.0


def _rounded(tensor: Tensor, scale: float) -> Tensor:
    if tensor.dtype.kind != "f":
        return tensor
    return np.round(tensor / scale * _HUNDREDTH)


def _keys(samples: Sequence[Sequence[Tensor]]) -> Tensor:
    """Returns 64 bits of BLAKE2 of each sample's arrays with their shapes, uint64 (n,)."""
    digests = []
    for sample in samples:
        hashed = hashlib.blake2b(digest_size=8)
        for tensor in sample:
            content = (
                "\0".join(tensor.ravel().tolist()).encode()
                if tensor.dtype.kind == "U"
                else (np.ascontiguousarray(tensor).tobytes())
            )
            hashed.update(f"{tensor.shape}".encode() + content)
        digests.append(hashed.digest())
    return np.frombuffer(b"".join(digests), np.uint64)
