"""Series: channels over time, all of one length → float32 (channels, time)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from pydantic import Field

from workbench.core.config import Config
from workbench.core.errors import InputError
from workbench.core.records import Finding
from workbench.data.chunks import StoredArray, chunks
from workbench.data.modality import ExampleSamples, Normalizing, Sketch
from workbench.data.sketches import row_sketch

_SIDE = 64
_HINT = "Give nested lists of numbers: a list for each channel, or one list for one channel."


class SeriesConfig(Config):
    """Preprocessing of series. Normalization, by channel, is in the model's graph."""

    channels: int = Field(default=1, ge=1, description="Values at each moment.")
    length: int = Field(ge=1, description="Moments of a series.")
    is_flat: bool = Field(
        default=False, description="Whether a raw series of one channel has one axis."
    )
    scales: tuple[float, ...] = Field(
        description="Spread of each channel on train, by which copies are found."
    )


class Series(Normalizing):
    """Arrays of shape (channels, time), or (time,) of one channel; see `SeriesConfig`."""

    summary = "Series: channels over time, as arrays C×T or lists"
    Config = SeriesConfig
    array_ranks = (2, 3)
    array_words = "N×C×T, or N×T of one channel"
    place_axes = 1
    what = "series"

    def examples(self, rng: np.random.Generator) -> ExampleSamples:
        """Waves of two channels."""
        waves = np.sin(np.arange(16) * rng.uniform(0.2, 1.0, (20, 2, 1))).astype(np.float32)
        return ExampleSamples(waves, [np.zeros((2, 15)), None, "x"], waves[0].tolist())

    def fit(
        self, samples: Sequence[Any], shapes: np.ndarray | None, options: Mapping[str, Any]
    ) -> tuple[SeriesConfig, tuple[Finding, ...]]:
        """Takes channels and length from the samples, and the spread of each channel."""
        array = np.asarray(samples)
        is_flat = array.ndim == 2
        channels = 1 if is_flat else array.shape[1]
        spreads = array.reshape(len(array), channels, -1).std(axis=(0, 2))
        config = SeriesConfig(
            channels=channels,
            length=array.shape[-1],
            is_flat=is_flat,
            scales=tuple(float(spread) or 1.0 for spread in spreads),
        )
        return config, ()

    def decode(self, value: Any, config: SeriesConfig) -> np.ndarray:
        """Numbers of the right shape, all of them finite."""
        array = _array(value)
        if array.shape == (config.length,) and config.channels == 1:
            array = array[None]
        if array.shape != self.sample_shape(config):
            raise InputError(
                f"got a series of shape {array.shape}; right is {config.channels} channels of "
                f"{config.length} moments"
            )
        with np.errstate(over="ignore"):
            decoded = np.ascontiguousarray(array, np.float32)
        if not np.isfinite(decoded).all():
            raise InputError(
                "The series holds NaN, infinity or numbers beyond float32.",
                hint="Give finite numbers below 3.4e38.",
            )
        return decoded

    def split_batch(self, value: Any, config: SeriesConfig) -> list[Any]:
        """An array of one more axis than a series is a batch; so is a list of several series."""
        if isinstance(value, (list, tuple)) and all(hasattr(item, "__array__") for item in value):
            return list(value)
        array = _array(value)
        rank = 1 if config.is_flat and array.shape[-2:] != self.sample_shape(config) else 2
        return list(array) if array.ndim > rank else [array]

    def sample_shape(self, config: SeriesConfig) -> tuple[int, ...]:
        """Channels, moments."""
        return (config.channels, config.length)

    def example(self, config: SeriesConfig) -> Any:
        """Silence."""
        zeros = np.zeros(self.sample_shape(config))
        return (zeros[0] if config.is_flat else zeros).tolist()

    def raw(self, prepared: np.ndarray, config: SeriesConfig) -> np.ndarray:
        """The axes as they were given."""
        return prepared[0] if config.is_flat else prepared

    def tiles(self, prepared: np.ndarray, config: SeriesConfig) -> tuple[np.ndarray, float]:
        """Curves, one below the other, each channel in its own range."""
        return drawn(prepared), 1.0

    def normalization(
        self, train: StoredArray, config: SeriesConfig
    ) -> tuple[np.ndarray, np.ndarray]:
        """One mean and one deviation for each channel, shape (channels, 1)."""
        count = len(train) * config.length
        total = sum(train[rows].sum((0, 2), dtype=float) for rows in chunks(train))
        mean = np.asarray(total / count)[:, None]
        parts = (np.square(train[rows] - mean).sum((0, 2)) for rows in chunks(train))
        std = np.sqrt(sum(parts) / count)[:, None]
        std[std <= 1e-6 * np.maximum(np.abs(mean), 1e-30)] = 1.0
        return mean.astype(np.float32), std.astype(np.float32)

    def sketch(self, prepared: np.ndarray, config: SeriesConfig) -> Sketch:
        """Rounded values."""
        scales = np.repeat(np.array(config.scales), config.length)
        return row_sketch(prepared.reshape(len(prepared), -1), scales)


PLUGIN = Series()


def drawn(series: np.ndarray, side: int = _SIDE) -> np.ndarray:
    """Returns curves as pictures float32 (n, 1, side, side), white on black.

    Args:
        series: float32 (n, channels, time).
        side: Pixels; each column shows the range of its moments.
    """
    count, channels, length = series.shape
    low, high = series.min(axis=2, keepdims=True), series.max(axis=2, keepdims=True)
    shares = (series - low) / np.where(high > low, high - low, 1)
    band = max(side // channels, 1)
    places = np.minimum(((1 - shares) * (band - 1)).round().astype(int), band - 1)
    across = np.minimum(np.arange(length) * side // length, side - 1)
    found = np.zeros((count, 1, side, side), np.float32)
    for channel in range(min(channels, side)):
        edges = np.stack([places[:, channel], np.roll(places[:, channel], 1, axis=1)])
        edges[1, :, 0] = edges[0, :, 0]
        for moment, column in enumerate(across):
            top, bottom = edges[:, :, moment].min(axis=0), edges[:, :, moment].max(axis=0)
            rows = np.arange(band)
            lit = (rows >= top[:, None]) & (rows <= bottom[:, None])
            own = found[:, 0, channel * band : (channel + 1) * band, column]
            own[:] = np.maximum(own, lit)
    return found


def _array(value: Any) -> np.ndarray:
    if hasattr(value, "detach"):
        value = value.detach().cpu()
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise InputError(
            "The channels of the series have different lengths; each must be as long as the first."
        ) from error
    if array.dtype.kind not in "buif" or array.ndim == 0:
        raise InputError(f"Got {type(value).__name__}, which is no series.", hint=_HINT)
    return array
