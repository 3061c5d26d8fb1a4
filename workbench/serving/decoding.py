"""From what a person sends to tensors: by the model's modality, or as plain tensors without one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from workbench.core.errors import InputError, UnsupportedError
from workbench.core.records import Description
from workbench.core.signature import Signature, TensorSpec
from workbench.serving.tensors import as_tensor, cast_to, describe

Inputs = dict[str, NDArray[Any]]


class Decoder(Protocol):
    """Makes tensors of one model from a person's input. Never reads a file of the server."""

    takes: str

    def from_json(self, value: Any) -> Inputs:
        """Returns the tensors for JSON values."""

    def from_array(self, array: NDArray[Any]) -> Inputs:
        """Returns the tensors for one array: a sample or a batch, told apart by rank."""

    def from_files(self, files: list[bytes]) -> Inputs:
        """Returns the tensors for the contents of files, one sample each."""


def decoder_for(description: Description | None, signature: Signature) -> Decoder:
    """Returns the decoder that a model's description asks for."""
    return TensorDecoder(signature)


class TensorDecoder:
    """For a model without declared preprocessing: numbers as the signature has them."""

    def __init__(self, signature: Signature) -> None:
        self._signature = signature
        shapes = "; ".join(f"{spec.name}: {describe(spec)}" for spec in signature.inputs)
        self.takes = f"tensors only, since the model declares no preprocessing ({shapes})"

    def from_json(self, value: Any) -> Inputs:
        """Takes nested lists for the only input, or an object of them by input name."""
        specs = self._signature.inputs
        if isinstance(value, Mapping):
            by_name = {spec.name: spec for spec in specs}
            known = {n: self._one(v, by_name[n]) for n, v in value.items() if n in by_name}
            if known:
                unknown = {n: np.zeros(0) for n in value if n not in by_name}
                return {**known, **unknown}
        if len(specs) != 1 or isinstance(value, (str, Mapping)):
            raise self._refusal(value)
        return {specs[0].name: self._one(value, specs[0])}

    def from_array(self, array: NDArray[Any]) -> Inputs:
        """Takes an array for the only input."""
        specs = self._signature.inputs
        if len(specs) != 1:
            raise self._refusal(array)
        return {specs[0].name: _batched(cast_to(array, specs[0]), specs[0])}

    def from_files(self, files: list[bytes]) -> Inputs:
        """Refuses: what a file means was not declared."""
        raise UnsupportedError(
            f"Got a file, but this model takes {self.takes}.",
            hint="Register it with its data set to serve files, or send arrays.",
        )

    def _one(self, value: Any, spec: TensorSpec) -> NDArray[Any]:
        return _batched(as_tensor(value, spec), spec)

    def _refusal(self, value: Any) -> InputError:
        kind = "an object" if isinstance(value, Mapping) else type(value).__name__
        return InputError(
            f"Got {kind}, but this model takes {self.takes}.",
            hint="Give an object with one nested list for each input.",
        )


def _batched(array: NDArray[Any], spec: TensorSpec) -> NDArray[Any]:
    """Adds the batch dimension to a single sample."""
    if spec.is_batched and array.ndim == len(spec.shape) - 1:
        return array[np.newaxis]
    return array
