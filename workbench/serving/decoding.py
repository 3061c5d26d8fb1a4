"""From what a person sends to tensors: by the model's modality, or as plain tensors without one."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from workbench.core.batch import Batch, named
from workbench.core.batch import tensors as tensors_of
from workbench.core.errors import InputError, UnsupportedError
from workbench.core.records import Description
from workbench.core.signature import Signature, TensorSpec
from workbench.data.modalities import MODALITIES
from workbench.data.modality import FileKind, Modality
from workbench.serving.crew import while_wanted
from workbench.serving.decoding_room import DecodingRoom
from workbench.serving.tensors import (
    as_tensor,
    cast_to,
    check_names,
    describe,
    has_free_sizes,
    input_error,
)

_LONG = 4096
Inputs = dict[str, NDArray[Any]]


class Decoder(Protocol):
    """Makes tensors of one model from a person's input. Never reads a file of the server."""

    takes: str
    files: FileKind | None
    padding: Mapping[str, float] | None

    def own_example(self) -> Inputs | None:
        """Returns the tensors of a sample that the modality knows; None without a modality."""

    def example(self) -> Any:
        """Returns a JSON value of one sample; None if it would be long."""

    def from_json(self, value: Any) -> Inputs:
        """Returns the tensors for JSON values."""

    def from_array(self, array: NDArray[Any]) -> Inputs:
        """Returns the tensors for one array: a sample or a batch, told apart by rank."""

    def from_files(self, files: list[bytes]) -> Inputs:
        """Returns the tensors for the contents of files, one sample each."""

    def raw(self, inputs: Inputs, value: Any) -> NDArray[Any] | list[dict[str, Any]] | None:
        """Returns samples as a person would give them: an array, or rows by column.

        Args:
            inputs: The decoded tensors.
            value: The JSON value they came from; None if they came otherwise.

        Returns:
            None if they cannot be told from that.
        """


def decoder_for(
    description: Description | None, signature: Signature, room: DecodingRoom | None = None
) -> Decoder:
    """Returns the decoder that a model's description asks for.

    Args:
        description: What the model says of itself.
        signature: Its tensors.
        room: What decoding may take of this process; None gives a room of its own.

    Raises:
        UnsupportedError: The modality gives tensors that the model does not take.
        NotFoundError: The modality is not installed here.
    """
    if description is None or description.modality is None or description.preprocessing is None:
        return TensorDecoder(signature)
    modality = MODALITIES.get(description.modality)
    config = modality_config(description.modality, description.preprocessing)
    given = modality.signature(config)
    if not _accept(signature.inputs, given):
        raise UnsupportedError(
            f"The model's preprocessing ({description.modality}) gives "
            f"{', '.join(map(_sample_words, given))} a sample, but its file takes "
            f"{', '.join(describe(spec) for spec in signature.inputs)}.",
            hint="Export and register the model again with the data it was trained on.",
        )
    return ModalityDecoder(modality, config, signature.inputs, room or DecodingRoom())


def modality_config(key: str, saved: Mapping[str, Any]) -> Any:
    """Returns a modality's preprocessing from its saved form."""
    values = {name: value for name, value in saved.items() if name not in ("kind", "version")}
    return MODALITIES.parse(key, values)


class ModalityDecoder:
    """The same decoding that prepared the training data."""

    def __init__(
        self,
        modality: Modality,
        config: Any,
        specs: Sequence[TensorSpec],
        room: DecodingRoom,
    ) -> None:
        self._modality = modality
        self._room = room
        self._config = config
        self._specs = tuple(specs)
        self._names = [spec.name for spec in specs]
        self._given = modality.signature(config)
        self._may_pad = {spec.name for spec in self._given} <= set(self._names)
        self.padding = modality.padding(config) if self._may_pad else None
        self.files = modality.files
        modality.prepare()
        prepared = _sample_words(self._given[0])
        if len(self._given) > 1:
            prepared = ", ".join(f"{spec.name}: {_sample_words(spec)}" for spec in self._given)
        self.takes = f"{modality.key}: {modality.summary}; prepared to {prepared}"

    def own_example(self) -> Inputs | None:
        """Returns the tensors of the sample that the modality shows."""
        return self.from_json(self._modality.example(self._config))

    def example(self) -> Any:
        """Returns one sample as the modality writes it."""
        size = sum(math.prod(_sizes(spec)[1:]) for spec in self._given)
        return self._modality.example(self._config) if size <= _LONG else None

    def from_json(self, value: Any) -> Inputs:
        """Takes a sample, a batch, or base64 texts of files."""
        if value is None or value == []:
            got = "null" if value is None else "an empty list"
            raise InputError(f"Got {got}; at least one sample would be right.")
        return self._decode(self._modality.from_json(value, self._config))

    def from_array(self, array: NDArray[Any]) -> Inputs:
        """Takes raw samples as the data set had them."""
        return self._decode(array)

    def from_files(self, files: list[bytes]) -> Inputs:
        """Takes the contents of files, one sample each."""
        return self._decode(files)

    def raw(self, inputs: Inputs, value: Any) -> NDArray[Any] | list[dict[str, Any]] | None:
        """Returns arrays as the data set had them, or the rows of a table with named columns."""
        modality, config = self._modality, self._config
        if modality.keeps_raw(config) and not modality.is_row:
            return None
        if modality.keeps_raw(config):
            rows = [] if value is None else modality.split_batch(self._plain(value), config)
            is_named = bool(rows) and all(isinstance(row, Mapping) for row in rows)
            return [dict(row) for row in rows] if is_named else None
        if len(self._given) > 1 or has_free_sizes(Signature(self._given, ())):
            return None
        batch = inputs[self._specs[0].name]
        if batch.ndim == len(modality.sample_shape(config)):
            batch = batch[np.newaxis]
        return np.stack([modality.raw(sample, config) for sample in batch])

    def _plain(self, value: Any) -> Any:
        return self._modality.from_json(value, self._config)

    def _decode(self, value: Any) -> Inputs:
        samples: Any = self._modality.split_batch(value, self._config)
        if isinstance(value, np.ndarray) and value.ndim:
            is_one = len(samples) == 1 and np.shape(samples[0]) == value.shape
            samples = value[np.newaxis] if is_one else value
        if not len(samples):
            raise InputError("Got no samples; at least one would be right.")
        with self._room.taken(self._modality, samples, self._config):
            batch = self._batch(_wanted(samples))
        tensors = named(batch, self._names)
        return {spec.name: _as_taken(tensors[spec.name], spec) for spec in self._specs}

    def _batch(self, samples: Any) -> Batch:
        """Returns samples as one batch, padded only if the model is told the true sizes."""
        if self._may_pad:
            return self._modality.decode_batch(samples, self._config)
        parts = self._modality.decode_each(samples, self._config)
        shapes = {tuple(tensor.shape for tensor in tensors_of(part)) for part in parts}
        if len(shapes) > 1:
            sizes = ", ".join(str([list(size) for size in shape]) for shape in sorted(shapes)[:4])
            raise InputError(
                f"Got samples of different sizes ({sizes}), and the model is not told the true "
                "ones when they are padded.",
                hint="Send one sample a request.",
            )
        return self._modality.collate(parts, self._config)


class _Wanted(list[Any]):
    """Samples that are decoded one after the other, as long as somebody waits for that."""

    def __iter__(self) -> Iterator[Any]:
        return while_wanted(super().__iter__())


def _wanted(samples: Any) -> Any:
    return _Wanted(samples) if isinstance(samples, list) else samples


class TensorDecoder:
    """For a model without declared preprocessing: numbers as the signature has them."""

    def __init__(self, signature: Signature) -> None:
        self._signature = signature
        self.padding: Mapping[str, float] | None = None
        self.files: FileKind | None = None
        shapes = "; ".join(f"{spec.name}: {describe(spec)}" for spec in signature.inputs)
        self.takes = f"tensors only, since the model declares no preprocessing ({shapes})"

    def own_example(self) -> Inputs | None:
        """Returns None: nothing is known of its samples."""
        return None

    def example(self) -> Any:
        """Returns ones: nested lists for the only input, or an object of them."""
        specs = self._signature.inputs
        shapes = {spec.name: _sizes(spec) for spec in specs}
        if sum(math.prod(shape) for shape in shapes.values()) > _LONG:
            return None
        ones = {s.name: np.full(shapes[s.name], "" if s.dtype == "str" else 1) for s in specs}
        values = {name: value.tolist() for name, value in ones.items()}
        return values if len(values) > 1 else next(iter(values.values()))

    def from_json(self, value: Any) -> Inputs:
        """Takes nested lists for the only input, or an object of them by input name."""
        specs = self._signature.inputs
        if isinstance(value, Mapping):
            by_name = {spec.name: spec for spec in specs}
            if by_name.keys() & value.keys():
                check_names(value, self._signature)
                return {name: self._one(item, by_name[name]) for name, item in value.items()}
        if len(specs) != 1 or isinstance(value, (str, Mapping)):
            raise self._refusal(value)
        return {specs[0].name: self._one(value, specs[0])}

    def from_array(self, array: NDArray[Any]) -> Inputs:
        """Takes an array for the only input."""
        specs = self._signature.inputs
        if len(specs) != 1:
            raise self._refusal(array)
        try:
            return {specs[0].name: _batched(cast_to(array, specs[0]), specs[0])}
        except InputError as error:
            raise input_error([error.message], self._signature) from error

    def from_files(self, files: list[bytes]) -> Inputs:
        """Refuses: what a file means was not declared."""
        raise UnsupportedError(
            f"Got a file, but this model takes {self.takes}.",
            hint="Register it with its data set to serve files, or send arrays.",
        )

    def raw(self, inputs: Inputs, value: Any) -> NDArray[Any] | list[dict[str, Any]] | None:
        """Returns the only input's tensor; several inputs make no samples."""
        return next(iter(inputs.values())) if len(inputs) == 1 else None

    def _one(self, value: Any, spec: TensorSpec) -> NDArray[Any]:
        try:
            return _batched(as_tensor(value, spec), spec)
        except InputError as error:
            raise input_error([error.message], self._signature) from error

    def _refusal(self, value: Any) -> InputError:
        kind = "an object" if isinstance(value, Mapping) else type(value).__name__
        return InputError(
            f"Got {kind}, but this model takes {self.takes}.",
            hint="Give an object with one nested list for each input.",
        )


def _sizes(spec: TensorSpec) -> list[int]:
    """Returns the smallest sizes that a tensor can have."""
    return [1 if isinstance(dim, str) else dim for dim in spec.shape]


def _sample_words(spec: TensorSpec) -> str:
    """Returns one sample's tensor in words, as in "float32 [1, 8, 8]"."""
    return describe(replace(spec, shape=spec.shape[1:]))


def _as_taken(value: NDArray[Any], spec: TensorSpec) -> NDArray[Any]:
    """Returns a decoded tensor as the model takes it; one sample without an axis for the batch."""
    if len(spec.shape) < value.ndim and len(value) == 1:
        value = value[0]
    return np.ascontiguousarray(value, object if spec.dtype == "str" else spec.dtype)


def _batched(array: NDArray[Any], spec: TensorSpec) -> NDArray[Any]:
    """Adds the batch dimension to a single sample."""
    takes_batch = spec.is_batched or spec.shape[:1] == (1,)
    if takes_batch and array.ndim == len(spec.shape) - 1:
        return array[np.newaxis]
    return array


def _accept(specs: Sequence[TensorSpec], given: Sequence[TensorSpec]) -> bool:
    """Whether a model takes a modality's tensors: by name, or the only one as the only one."""
    known = {spec.name: spec for spec in given}
    if len(specs) == len(given) == 1:
        known = {specs[0].name: given[0]}
    return all(spec.name in known and _accepts(spec, known[spec.name]) for spec in specs)


def _accepts(spec: TensorSpec, given: TensorSpec) -> bool:
    """Whether samples fit the tensor, as a batch or one alone; what is free is seen later."""
    sample = given.shape[1:]
    shape = spec.shape[1:] if len(spec.shape) == len(given.shape) else spec.shape
    return (
        spec.dtype == given.dtype
        and len(shape) == len(sample)
        and all(
            isinstance(dim, str) or isinstance(size, str) or dim == size
            for dim, size in zip(shape, sample, strict=True)
        )
    )
