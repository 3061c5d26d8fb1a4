"""From what a person sends to tensors: by the model's modality, or as plain tensors without one."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from workbench.core.errors import InputError, UnsupportedError
from workbench.core.records import Description
from workbench.core.signature import Signature, TensorSpec
from workbench.data.modalities import MODALITIES
from workbench.data.modality import Modality
from workbench.serving.crew import while_wanted
from workbench.serving.decoding_room import DecodingRoom
from workbench.serving.tensors import as_tensor, cast_to, check_names, describe, input_error

_LONG = 4096
Inputs = dict[str, NDArray[Any]]


class Decoder(Protocol):
    """Makes tensors of one model from a person's input. Never reads a file of the server."""

    takes: str

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
    spec = signature.inputs[0]
    shape = modality.sample_shape(config)
    if len(signature.inputs) != 1 or spec.dtype != "float32" or not _accepts(spec, shape):
        raise UnsupportedError(
            f"The model's preprocessing ({description.modality}) gives float32 {list(shape)} a "
            f"sample, but its file takes {', '.join(describe(s) for s in signature.inputs)}.",
            hint="Export and register the model again with the data it was trained on.",
        )
    return ModalityDecoder(modality, config, spec, room or DecodingRoom())


def modality_config(key: str, saved: Mapping[str, Any]) -> Any:
    """Returns a modality's preprocessing from its saved form."""
    values = {name: value for name, value in saved.items() if name not in ("kind", "version")}
    return MODALITIES.parse(key, values)


class ModalityDecoder:
    """The same decoding that prepared the training data."""

    def __init__(
        self, modality: Modality, config: Any, spec: TensorSpec, room: DecodingRoom
    ) -> None:
        self._modality = modality
        self._room = room
        self._config = config
        self._spec = spec
        modality.prepare()
        shape = ", ".join(str(size) for size in modality.sample_shape(config))
        self.takes = f"{modality.key}: {modality.summary}; prepared to float32 [{shape}]"

    def example(self) -> Any:
        """Returns one sample as the modality writes it."""
        size = math.prod(self._modality.sample_shape(self._config))
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
        if modality.keeps_raw(config):
            rows = [] if value is None else modality.split_batch(self._plain(value), config)
            is_named = bool(rows) and all(isinstance(row, Mapping) for row in rows)
            return [dict(row) for row in rows] if is_named else None
        batch = inputs[self._spec.name]
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
            batch: Any = self._modality.decode_batch(_wanted(samples), self._config)
        if len(self._spec.shape) < batch.ndim and len(batch) == 1:
            batch = batch[0]
        return {self._spec.name: np.ascontiguousarray(batch, np.float32)}


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
        shapes = "; ".join(f"{spec.name}: {describe(spec)}" for spec in signature.inputs)
        self.takes = f"tensors only, since the model declares no preprocessing ({shapes})"

    def example(self) -> Any:
        """Returns ones: nested lists for the only input, or an object of them."""
        specs = self._signature.inputs
        shapes = {s.name: [1 if isinstance(d, str) else d for d in s.shape] for s in specs}
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


def _batched(array: NDArray[Any], spec: TensorSpec) -> NDArray[Any]:
    """Adds the batch dimension to a single sample."""
    takes_batch = spec.is_batched or spec.shape[:1] == (1,)
    if takes_batch and array.ndim == len(spec.shape) - 1:
        return array[np.newaxis]
    return array


def _accepts(spec: TensorSpec, sample_shape: tuple[int, ...]) -> bool:
    """Whether samples of this shape fit the tensor, as a batch or one alone."""
    shape = spec.shape[1:] if len(spec.shape) == len(sample_shape) + 1 else spec.shape
    return len(shape) == len(sample_shape) and all(
        isinstance(dim, str) or dim == size for dim, size in zip(shape, sample_shape, strict=True)
    )
