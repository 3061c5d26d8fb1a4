"""The base of modalities: raw value → named tensors, the same for training and at the endpoint."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from workbench.core.batch import Batch
from workbench.core.errors import InputError
from workbench.core.plugins import Plugin
from workbench.core.records import Finding
from workbench.core.signature import TensorSpec
from workbench.data.chunks import StoredArray
from workbench.data.collate import collated
from workbench.data.picture_file import PictureLimits


@dataclass(frozen=True)
class Sketch:
    """What is compared to find copies.

    Attributes:
        exact: uint64, shape (n,): equal for equal samples.
        near: uint64, shape (n,): equal, or for `thumbs` few bits apart, for samples much alike.
        thumbs: uint8, shape (n, k): small pictures that confirm a likeness; None if `near` is
            enough.
    """

    exact: np.ndarray
    near: np.ndarray
    thumbs: np.ndarray | None = None


@dataclass(frozen=True)
class ExampleSamples:
    """A few samples as a person has them, to try a modality with.

    Attributes:
        train: At least 20 raw samples.
        bad: Values that cannot be decoded.
        json: One sample as JSON.
    """

    train: Any
    bad: Sequence[Any]
    json: Any


class Modality(Plugin):
    """Decodes what a person has. `Config` is the preprocessing, with all fitted statistics.

    One float32 tensor of one shape is the common case: then `sample_shape` says all, and `decode`
    gives an array. Others say `signature`, and `decode` gives arrays by name.
    No method may import torch, nor anything heavy when nothing heavy was given.

    Attributes:
        array_ranks: Axes that arrays of samples may have, the samples' own among them.
        array_words: The same in words, as in "N×F".
        place_axes: How many axes the places of a sample have: 2 for pictures, 1 for series.
        what: Plural of a sample, as in "images".
        takes_files: Whether a sample may be a file, so that its bytes are an input.
        takes_names: Whether a sample is arrays by name.
    """

    array_ranks: ClassVar[tuple[int, ...]]
    array_words: ClassVar[str]
    place_axes: ClassVar[int] = 0
    what: ClassVar[str]
    takes_files: ClassVar[bool] = False
    takes_names: ClassVar[bool] = False

    @abstractmethod
    def examples(self, rng: np.random.Generator) -> ExampleSamples:
        """Returns samples to try it with."""

    @abstractmethod
    def fit(
        self, samples: Sequence[Any], shapes: np.ndarray | None, options: Mapping[str, Any]
    ) -> tuple[Any, tuple[Finding, ...]]:
        """Returns the preprocessing fitted on the training samples, and what was noticed.

        Args:
            samples: Raw training samples.
            shapes: int64 (n, 3), sizes of images still in files; None if known from the samples.
            options: What the source passes on.
        """

    def clean(
        self, samples: Any, config: Any, place: Callable[[int], str]
    ) -> tuple[Any, tuple[Finding, ...]]:
        """Returns samples whose repairable cells are repaired, and a finding for each sort."""
        return samples, ()

    def prepare(self) -> None:
        """Imports what decoding will need, so that an endpoint's first caller does not wait."""

    def signature(self, config: Any) -> tuple[TensorSpec, ...]:
        """Returns the tensors that a model of such samples takes; a string is a free dimension."""
        return (TensorSpec("input", "float32", ("batch", *self.sample_shape(config))),)

    def decoded(self, config: Any) -> tuple[TensorSpec, ...]:
        """Returns those that `decode` gives and that are stored; `collate` adds the others."""
        return self.signature(config)

    @abstractmethod
    def decode(self, value: Any, config: Any) -> Batch:
        """Returns one value as the tensors of a sample: an array if it is one, else by name.

        Raises:
            InputError: The value cannot be decoded; the message says what would be right.
        """

    def weigh(self, value: Any, config: Any, limits: PictureLimits) -> int:
        """Returns how many bytes of memory decoding a value takes beside the result.

        Told by the value's header, before anything is decoded.

        Raises:
            InputError: It is beyond the limits, or cannot be read.
        """
        return 0

    def padding(self, config: Any) -> Mapping[str, float] | None:
        """Returns by what each tensor with free dimensions is padded.

        None: samples of different sizes are never put into one batch. A mapping is right only if
        the model is told the true sizes, as by `lengths` or a mask among its inputs.
        """
        return None

    def collate(self, samples: Sequence[Batch], config: Any) -> Batch:
        """Returns decoded samples as one batch, padded by `padding`; the inverse of taking rows.

        Who pads adds what the model needs to know of it.

        Raises:
            InputError: Their sizes differ, and nothing says how to pad.
        """
        return collated(samples, self.decoded(config), self.padding(config))

    def decode_each(self, values: Sequence[Any], config: Any) -> list[Batch]:
        """Returns n values as samples.

        Raises:
            InputError: With every problem at once, each with its index.
        """
        decoded, problems = [], []
        for index, value in enumerate(values):
            try:
                decoded.append(self.decode(value, config))
            except InputError as error:
                problems.extend(indexed(error, index, len(values)))
        if problems:
            raise InputError(cannot_be_read(len(problems), "input"), problems=problems)
        return decoded

    def decode_batch(self, values: Sequence[Any], config: Any) -> Batch:
        """Returns n values as one batch.

        Raises:
            InputError: With every problem at once, each with its index.
        """
        return self.collate(self.decode_each(values, config), config)

    @abstractmethod
    def split_batch(self, value: Any, config: Any) -> list[Any]:
        """Returns the samples in `value`: arrays are told apart by rank, a list is a batch."""

    def from_json(self, value: Any, config: Any) -> Any:
        """Returns a JSON value as something `split_batch` takes. Never reads a local file.

        Raises:
            InputError: It cannot be such a thing.
        """
        return value

    @abstractmethod
    def sample_shape(self, config: Any) -> tuple[int, ...]:
        """Returns the shape of one decoded sample that is one tensor of one shape.

        Raises:
            UnsupportedError: It is several tensors, or has free dimensions: see `signature`.
        """

    def example(self, config: Any) -> Any:
        """Returns one sample as a person would write it in JSON, to show what goes in."""
        return np.zeros(self.sample_shape(config)).tolist()

    def storage_dtype(self, config: Any) -> str:
        """Returns the dtype in which samples of one tensor lose nothing, as uint8; else its own."""
        return self.decoded(config)[0].dtype

    def raw(self, prepared: Any, config: Any) -> Any:
        """Returns a stored sample as a person would have given it; None if it must be kept."""
        return None

    def tiles(self, prepared: Any, config: Any) -> tuple[np.ndarray, float] | None:
        """Returns small pictures of prepared samples, to look at; None where none can be made.

        Returns:
            float32 (n, 1 or 3 channels, height, width), and the value that is white.
        """
        return None

    def shape_words(self, config: Any) -> str:
        """Returns the size of a sample in words, as in "28×28"."""
        return "×".join(map(str, self.sample_shape(config)))

    def keeps_raw(self, config: Any) -> bool:
        """Whether raw samples are stored beside the prepared ones, as JSON lines."""
        return False

    @abstractmethod
    def sketch(self, prepared: Any, config: Any) -> Sketch:
        """Returns what is compared to find copies.

        Args:
            prepared: n samples as `decode` gives them: an array (n, *sample_shape), or a list
                where they are several tensors or have free dimensions.
            config: The preprocessing.
        """


class Normalizing(Modality):
    """A modality whose samples, one tensor each, are normalised inside the model's graph."""

    @abstractmethod
    def normalization(self, train: StoredArray, config: Any) -> tuple[np.ndarray, np.ndarray]:
        """Returns mean and standard deviation of the prepared training samples.

        Args:
            train: Stored samples, shape (N, *sample_shape), to be read in pieces.
            config: The preprocessing.

        Returns:
            Two float32 arrays that broadcast against one sample; no deviation is zero.
        """


def cannot_be_read(count: int, what: str) -> str:
    """Returns the sentence, as in "2 inputs cannot be read."."""
    return f"{count} {what}{'s' if count > 1 else ''} cannot be read."


def indexed(error: InputError, index: int, total: int) -> list[str]:
    """Returns the problems of sample `index`, with the index if there are several samples."""
    texts = list(error.problems) or [error.message]
    return texts if total == 1 else [f"input {index}: {text}" for text in texts]
