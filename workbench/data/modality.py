"""The base of modalities: raw value → named tensors, the same for training and at the endpoint."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from workbench.core.batch import Batch
from workbench.core.config import Config, NoConfig
from workbench.core.errors import InputError, UnsupportedError
from workbench.core.plugins import Plugin
from workbench.core.records import Finding
from workbench.core.signature import TensorSpec
from workbench.data.chunks import StoredArray
from workbench.data.collate import collated
from workbench.data.picture_file import PictureLimits

_JSON = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


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


@dataclass(frozen=True)
class FileKind:
    """What a sample is that comes as a file: told to pages, listings and errors.

    Attributes:
        noun: One of them, as in "picture"; the plural has an s.
        media: Media types as a page's file field takes them, as in "image/*".
        usual: The suffix that most of them have, as in ".png".
        suffixes: All that file names may have, in lower case with their dot.
    """

    noun: str
    media: str
    usual: str
    suffixes: frozenset[str]

    def to_json(self) -> dict[str, Any]:
        """Returns what a page must know, with a file's name as an example."""
        accept = ",".join([self.media, *sorted(self.suffixes)])
        return {"noun": self.noun, "accept": accept, "example": f"{self.noun}{self.usual}"}


class Modality(Plugin):
    """Decodes what a person has. `Config` is the preprocessing, with all fitted statistics.

    One float32 tensor of one shape is the common case: then `sample_shape` says all, and `decode`
    gives an array. Others say `signature`, and `decode` gives arrays by name.
    No method may import torch, nor anything heavy when nothing heavy was given.

    Attributes:
        Options: What a person may choose before the preprocessing is fitted, if the source asks.
        array_ranks: Axes that arrays of samples may have, the samples' own among them; none where
            a sample is no plain array, so that a list of samples stays one.
        array_words: The same in words, as in "N×F".
        place_axes: How many axes the places of a sample have: 2 for pictures, 1 for series.
        what: Plural of a sample, as in "images".
        files: What a sample is that comes as a file, so that its bytes are an input; else None.
        takes_names: Whether a sample is arrays by name.
        is_row: Whether a sample is a row: values by column, or in the order of the columns.
        plays: Media type of what `media` gives, as in "audio/wav"; empty if nothing is played.
        raw_file: Name of the file that holds raw samples where they are kept.
    """

    Options: ClassVar[type[Config]] = NoConfig

    array_ranks: ClassVar[tuple[int, ...]]
    array_words: ClassVar[str]
    place_axes: ClassVar[int] = 0
    what: ClassVar[str]
    files: ClassVar[FileKind | None] = None
    takes_names: ClassVar[bool] = False
    is_row: ClassVar[bool] = False
    plays: ClassVar[str] = ""
    raw_file: ClassVar[str] = "raw.jsonl"

    @property
    def takes_files(self) -> bool:
        """Whether a sample may be a file."""
        return self.files is not None

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
            shapes: int64 (n, k), what `measure` tells of each; None if known from the samples.
            options: What the source passes on.
        """

    def measure(self, value: Any, options: Mapping[str, Any], *, is_read: bool) -> tuple[int, ...]:
        """Returns the sizes of a sample that `fit` needs, as a file's header tells them.

        Args:
            value: A file's bytes, or a sample that is no plain array.
            options: What the source passes on.
            is_read: Whether it is decoded, too, so that damage further on is found.

        Returns:
            Positive whole numbers, the same count for each sample.

        Raises:
            InputError: It is nothing that can be decoded.
        """
        raise UnsupportedError(f"{self.what} are not measured.", hint="Give arrays.")

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
        """Whether raw samples are stored beside the prepared ones, in `raw_file`."""
        return False

    def pack(self, value: Any, config: Any) -> bytes:
        """Returns a raw sample as it is kept: by default as a line of JSON."""
        return _JSON.encode(value).encode() + b"\n"

    def unpack(self, kept: bytes, config: Any) -> Any:
        """Returns a kept sample as a person would have given it."""
        return json.loads(kept)

    def media(self, value: Any, config: Any) -> bytes:
        """Returns a raw sample as a file of the type `plays`, for a person to hear or watch.

        Raises:
            InputError: It cannot be decoded.
        """
        raise UnsupportedError(f"{self.what} are not played.")

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
