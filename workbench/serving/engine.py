"""What an engine is: it loads one model file and answers with named tensors. Knows no HTTP."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from workbench.core.config import Config
from workbench.core.plugins import Plugin
from workbench.core.signature import Signature

FREE = 4
_GOLDEN = (math.sqrt(5) - 1) / 2
Tensors = Mapping[str, NDArray[Any]]


class LoadedModel(Protocol):
    """A model in memory. `predict` is called from one thread only."""

    signature: Signature

    def predict(self, inputs: Tensors) -> dict[str, NDArray[Any]]:
        """Returns the outputs by name, in the order of the signature."""

    def close(self) -> None:
        """Gives the memory back."""


@runtime_checkable
class StreamingModel(Protocol):
    """What a model has beside `LoadedModel` if its answer may come in pieces."""

    def stream(self, inputs: Tensors) -> Iterator[Tensors]:
        """Returns the answer piece by piece; a piece is all outputs by name, as of `predict`.

        Their free dimensions may differ from piece to piece. Called beside `predict` and other
        streams, each time from a thread of its own, which alone advances the iterator and closes it
        (`close()`, if it has that, as generators do) when nobody reads any more.
        """


class Engine(Plugin):
    """Loads model files of one sort, chosen by their suffix."""

    suffixes: tuple[str, ...] = ()

    @abstractmethod
    def load(self, path: Path, config: Config) -> LoadedModel:
        """Loads the model at `path`.

        Raises:
            InputError: The file is not what its suffix says.
        """


def example_inputs(
    signature: Signature, rows: int, *, seed: int = 0, free: int = FREE
) -> dict[str, NDArray[Any]]:
    """Returns made-up inputs that fit a signature, each row on another scale.

    Args:
        signature: The model's tensors.
        rows: The size of a symbolic first dimension.
        seed: Of the numbers.
        free: The size of every other symbolic dimension.
    """
    made: dict[str, NDArray[Any]] = {}
    for spec in signature.inputs:
        shape = [dim if isinstance(dim, int) else free for dim in spec.shape]
        if spec.is_batched:
            shape[0] = rows
        made[spec.name] = _example(seed + len(made), spec.dtype, tuple(shape))
    return made


def is_batchable(signature: Signature) -> bool:
    """Returns whether every input and output has the same symbolic first dimension."""
    tensors = (*signature.inputs, *signature.outputs)
    return all(t.is_batched for t in tensors) and len({t.shape[0] for t in tensors}) == 1


def batches_faithfully(
    model: LoadedModel, *, rows: int = 3, seed: int = 0, free: int = FREE
) -> bool:
    """Returns whether a row's answer does not depend on its neighbours in the batch.

    A dynamically quantized model fails this: its scale is taken over the whole batch.
    """
    if not is_batchable(model.signature):
        return False
    inputs = example_inputs(model.signature, rows, seed=seed, free=free)
    together = model.predict(inputs)
    for row in range(rows):
        alone = model.predict({name: value[row : row + 1] for name, value in inputs.items()})
        for name, value in alone.items():
            if len(together[name]) != rows or not close_to(together[name][row : row + 1], value):
                return False
    return True


def close_to(one: NDArray[Any], other: NDArray[Any]) -> bool:
    """Returns whether two answers are the same but for rounding."""
    if one.shape != other.shape:
        return False
    if one.dtype.kind != "f":
        return bool(np.array_equal(one, other))
    largest = float(np.max(np.abs(other), initial=0.0, where=np.isfinite(other)))
    return bool(np.allclose(one, other, rtol=1e-3, atol=1e-4 * largest + 1e-6, equal_nan=True))


def _example(seed: int, dtype: str, shape: tuple[int, ...]) -> NDArray[Any]:
    """Returns a tensor of made-up values; whole numbers are 0 or 1."""
    if dtype == "str":
        return np.full(shape, "a", dtype=object)
    numbers = _weyl(seed, shape)
    if np.dtype(dtype).kind in "biu":
        return (numbers > 0).astype(dtype)
    if shape:
        scales = np.asarray([1.0, 0.1, 10.0])[np.arange(shape[0]) % 3]
        numbers *= scales.reshape(-1, *[1] * (len(shape) - 1))
    return numbers.astype(dtype)


def _weyl(seed: int, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Returns numbers of mean 0 and variance 1: fractions of multiples of the golden ratio (Weyl).

    numpy.random would do, but takes 4 MB and 20 ms of each endpoint's start.
    """
    steps = np.arange(math.prod(shape), dtype=np.float64).reshape(shape)
    return ((steps + 1 + 1000 * seed) * _GOLDEN % 1.0 - 0.5) * math.sqrt(12)
