"""Clips of sound: WAV, FLAC and OGG files, or samples with their rate → log-mel (1, bands, time).

A clip is mixed to mono and resampled. One that is longer than the window gives its middle, a
shorter one is followed by silence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
from pydantic import Field, model_validator

from workbench.core.config import Config
from workbench.core.errors import InputError
from workbench.core.optional import require
from workbench.core.records import Finding
from workbench.data import mel
from workbench.data.chunks import StoredArray, chunks
from workbench.data.json_files import base64_bytes, each_value
from workbench.data.modality import ExampleSamples, FileKind, Normalizing, Sketch
from workbench.data.picture_file import PictureLimits
from workbench.data.sketches import row_sketch
from workbench.data.sound import (
    clip_size,
    is_array_clip,
    mono_window,
    resampled,
    wanted_frames,
)
from workbench.data.sound_file import SUFFIXES, sound_bytes, soundfile, wav_bytes
from workbench.data.sound_fit import fitted

_JSON_HINT = (
    "Give the base64 text of a WAV, FLAC or OGG file, {'b64': …}, or {'samples': […], 'rate': …}."
)
_FLOAT32 = 4
_BYTES_OF_FRAME = 20  # that the transform takes for each of its samples: float32 and complex64
_TILE = 64


class AudioOptions(Config):
    """What may be chosen of how clips are looked at."""

    sample_rate: int | None = Field(
        default=None,
        ge=2000,
        le=192_000,
        description="Frames a second; by default that of most clips, 16,000 at the most.",
    )
    seconds: float | None = Field(
        default=None,
        ge=0.1,
        le=30,
        description="How much of a clip is looked at; by default as much as 95 of 100 clips have, "
        "10 at the most.",
    )
    n_mels: int = Field(default=40, ge=4, le=128, description="Bands of frequencies.")
    fmin: float = Field(default=20.0, ge=0, description="Lower edge of the bands in hertz.")
    fmax: float | None = Field(
        default=None, gt=0, description="Upper edge; by default half of the sample rate."
    )
    window_ms: float = Field(default=25.0, ge=5, le=100, description="Length of a frame.")
    hop_ms: float = Field(default=10.0, ge=1, le=100, description="From one frame to the next.")
    floor_db: float = Field(
        default=-80.0,
        ge=-200,
        le=-20,
        description="What is more quiet, in dB of a sine at full scale, counts as silence.",
    )


class AudioConfig(AudioOptions):
    """Preprocessing of clips, fitted on train. Normalization, by band, is in the model's graph."""

    sample_rate: int = Field(ge=2000, le=192_000, description="Frames a second.")
    seconds: float = Field(ge=0.1, le=30, description="How much of a clip is looked at.")
    fmax: float = Field(gt=0, description="Upper edge of the bands in hertz.")

    @model_validator(mode="after")
    def _has_bands(self) -> Self:
        if not self.fmin < self.fmax <= self.sample_rate / 2:
            raise ValueError(
                f"fmin={self.fmin:g} to fmax={self.fmax:g}: right is fmin below fmax, and fmax at "
                f"most half of the sample rate, {self.sample_rate / 2:g}"
            )
        if self.fft is None:
            raise ValueError(
                f"{self.n_mels} bands from {self.fmin:g} to {self.fmax:g} Hz are too narrow; fewer "
                "would be right"
            )
        return self

    @property
    def fft(self) -> int | None:
        """Length of the transform; None if bands stay empty."""
        return mel.fft_size(self.n_mels, self.window, self.sample_rate, self.fmin, self.fmax)

    @property
    def window(self) -> int:
        """Samples of a frame."""
        return round(self.window_ms * self.sample_rate / 1000)

    @property
    def hop(self) -> int:
        """Samples from one frame to the next."""
        return max(1, round(self.hop_ms * self.sample_rate / 1000))

    @property
    def length(self) -> int:
        """Samples that are looked at, at least those of one frame."""
        return max(self.window, round(self.seconds * self.sample_rate))


class Audio(Normalizing):
    """Clips as log-mel spectrograms; see `AudioConfig`."""

    summary = "Sounds: WAV, FLAC or OGG files, or samples with their rate"
    requires = ("soundfile", "soxr")
    extra = "audio"
    Config = AudioConfig
    Options = AudioOptions
    array_ranks = ()
    array_words = 'a list of (samples, rate) or {"samples": …, "rate": …}'
    what = "clips"
    files = FileKind("clip", "audio/*", ".wav", SUFFIXES)
    plays = "audio/wav"
    raw_file = "raw.bin"

    def examples(self, rng: np.random.Generator) -> ExampleSamples:
        """Short tones, some in stereo."""
        moments = np.arange(1600) / 8000
        tones = [
            np.sin(2 * np.pi * pitch * moments[:, None] * np.ones(1 + i % 2)).astype(np.float32)
            for i, pitch in enumerate(rng.uniform(200, 3000, 20))
        ]
        bad = [b"x", None, (np.zeros(0), 8000), {"samples": [0.0]}, (np.full(99, np.nan), 8000)]
        json = {"samples": tones[0][:, 0].tolist(), "rate": 8000}
        return ExampleSamples([(tone, 8000) for tone in tones], bad, json)

    def fit(
        self, samples: Sequence[Any], shapes: np.ndarray | None, options: Mapping[str, Any]
    ) -> tuple[AudioConfig, tuple[Finding, ...]]:
        """Takes rate and length from those of train, as headers tell them."""
        if shapes is None:
            measured = [self.measure(sample, options, is_read=False) for sample in samples]
            shapes = np.array(measured, np.int64)
        own = {name: options[name] for name in AudioOptions.model_fields if name in options}
        chosen = AudioOptions.parse(own, what="the modality 'audio'")
        found, findings = fitted(shapes, chosen.sample_rate, chosen.seconds)
        values = {**chosen.to_json(), **found}
        values["fmax"] = chosen.fmax or found["sample_rate"] / 2
        return AudioConfig.parse(values, what="the modality 'audio'"), findings

    def measure(self, value: Any, options: Mapping[str, Any], *, is_read: bool) -> tuple[int, ...]:
        """Frames, channels and rate."""
        size = clip_size(value, is_read=is_read)
        return size.frames, size.channels, size.rate

    def prepare(self) -> None:
        """Imports what reads and resamples."""
        soundfile()
        require("soxr", for_="resampling sounds", extra="audio")

    def decode(self, value: Any, config: AudioConfig) -> np.ndarray:
        """Mono, at one rate, of one length; then the power of each band in dB."""
        samples = self._samples(value, config)
        padded = np.zeros(config.length, np.float32)
        padded[: len(samples)] = samples
        filters = mel.filterbank(
            config.n_mels, config.fft or 0, config.sample_rate, config.fmin, config.fmax
        )
        return mel.log_mel(padded, config.window, config.hop, filters, config.floor_db)[None]

    def _samples(self, value: Any, config: AudioConfig) -> np.ndarray:
        """Returns what is looked at, float32 (N,), at the model's rate and no longer than it."""
        mono, rate = mono_window(value, config.length / config.sample_rate)
        return resampled(mono, rate, config.sample_rate)[: config.length]

    def weigh(self, value: Any, config: AudioConfig, limits: PictureLimits) -> int:
        """What the window of a file takes, in all its channels and at its own rate."""
        if is_array_clip(value):
            return 0
        size = clip_size(value)
        frames = min(size.frames, wanted_frames(config.length / config.sample_rate, size.rate))
        read = _FLOAT32 * frames * (size.channels + 1)
        count = mel.frame_count(config.length, config.window, config.hop)
        taken = read + 2 * _FLOAT32 * config.length + _BYTES_OF_FRAME * count * (config.fft or 0)
        if taken > limits.working_bytes:
            raise InputError(
                f"not opened: decoding it takes {taken / 1e6:,.0f} MB; "
                f"{limits.working_bytes / 1e6:,.0f} MB are the most",
                context={"limit": limits.working_bytes},
            )
        return taken

    def split_batch(self, value: Any, config: AudioConfig) -> list[Any]:
        """A list is a batch; a file, a mapping and a pair of samples and rate are one clip."""
        if isinstance(value, (list, tuple)) and not is_array_clip(value):
            return list(value)
        if hasattr(value, "__array__"):
            clip_size(value)  # tells that it does not say its rate
        return [value]

    def from_json(self, value: Any, config: AudioConfig) -> Any:
        """Text is base64 of a file; an object holds that, or samples with their rate."""
        if isinstance(value, str):
            return base64_bytes(value, _JSON_HINT)
        if isinstance(value, Mapping):
            return base64_bytes(value["b64"], _JSON_HINT) if set(value) == {"b64"} else value
        if isinstance(value, list) and all(isinstance(item, (str, Mapping)) for item in value):
            return each_value(value, lambda item: self.from_json(item, config), "clips", _JSON_HINT)
        raise InputError("Numbers alone do not say their rate.", hint=_JSON_HINT)

    def sample_shape(self, config: AudioConfig) -> tuple[int, ...]:
        """One channel, bands, frames."""
        return (1, config.n_mels, mel.frame_count(config.length, config.window, config.hop))

    def example(self, config: AudioConfig) -> dict[str, Any]:
        """A moment of silence."""
        return {"samples": [0.0] * 8, "rate": config.sample_rate}

    def keeps_raw(self, config: AudioConfig) -> bool:
        """A spectrogram cannot be heard."""
        return True

    def pack(self, value: Any, config: AudioConfig) -> bytes:
        """The file as it is if all of it is looked at; else its window, in mono, as a WAV.

        Either is decoded to the very same tensor.
        """
        size = clip_size(value)
        seconds = config.length / config.sample_rate
        if not is_array_clip(value) and size.frames <= wanted_frames(seconds, size.rate):
            return sound_bytes(value)
        return wav_bytes(*mono_window(value, seconds))

    def unpack(self, kept: bytes, config: AudioConfig) -> bytes:
        """The bytes of a sound file."""
        return kept

    def media(self, value: Any, config: AudioConfig) -> bytes:
        """What the model hears: mono, at its rate, 16 bits."""
        return wav_bytes(self._samples(value, config), config.sample_rate, is_small=True)

    def tiles(self, prepared: np.ndarray, config: AudioConfig) -> tuple[np.ndarray, float]:
        """Spectrograms: time from left to right, high tones above, loud is white."""
        shares = np.clip(1 - prepared[:, :, ::-1] / config.floor_db, 0, 1)
        count = shares.shape[-1]
        starts = np.unique(np.arange(_TILE) * count // _TILE)
        widths = np.diff([*starts, count])
        return np.add.reduceat(shares, starts, axis=3) / widths.astype(np.float32), 1.0

    def shape_words(self, config: AudioConfig) -> str:
        """How long, at which rate, in how many bands."""
        return f"{config.seconds:g} s at {config.sample_rate:,} Hz, {config.n_mels} bands"

    def normalization(
        self, train: StoredArray, config: AudioConfig
    ) -> tuple[np.ndarray, np.ndarray]:
        """One mean and one deviation for each band, shape (1, bands, 1)."""
        count = len(train) * train.shape[-1]
        mean = sum(train[rows].sum((0, 1, 3), dtype=float) for rows in chunks(train)) / count
        middle = np.asarray(mean)[:, None]
        parts = (np.square(train[rows] - middle).sum((0, 1, 3)) for rows in chunks(train))
        std = np.sqrt(np.asarray(sum(parts)) / count)[:, None]
        std[std <= 1e-6 * abs(config.floor_db)] = 1.0
        return middle[None].astype(np.float32), std[None].astype(np.float32)

    def sketch(self, prepared: np.ndarray, config: AudioConfig) -> Sketch:
        """Spectrograms in whole decibels: the same recording in other lossless files is found.

        Thumbnails would not do: clips that are mostly silence, or noise, look alike in them.
        """
        return row_sketch(prepared.reshape(len(prepared), -1), np.full(1, 100.0))


PLUGIN = Audio()
