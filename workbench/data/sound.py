"""A clip as a person has it → the mono samples that are looked at: its middle, or all of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from workbench.core.errors import InputError
from workbench.core.optional import require
from workbench.data.sound_file import (
    MOST_CHANNELS,
    RATES,
    SoundSize,
    check_size,
    read_sound,
    sound_size,
)

_SHOWN = 40
_LOUDEST = 16.0  # 24 dB over full scale: more is another scale
_SCALES = {"uint8": (128.0, 128.0), "int16": (0.0, 32768.0), "int32": (0.0, 2147483648.0)}
HINT = (
    'Give a WAV, FLAC or OGG file, its bytes, or {"samples": array, "rate": frames a second}; '
    "an array is (frames,) or (frames, channels), of floats from -1 to 1 or of int16."
)


def is_array_clip(value: Any) -> bool:
    """Returns whether `value` is samples with their rate: a mapping, or a pair of them."""
    if isinstance(value, Mapping):
        return True
    is_pair = isinstance(value, tuple) and len(value) == 2
    return is_pair and np.ndim(value[1]) == 0 and not isinstance(value[1], (str, bytes))


def clip_size(value: Any, *, is_read: bool = False) -> SoundSize:
    """Returns frames, channels and rate of a clip; of a file, its header says.

    Args:
        value: A path, bytes, a mapping of samples and rate, or a pair.
        is_read: Whether the samples of a file are read, too.

    Raises:
        InputError: It is no clip, or beyond the limits.
    """
    if hasattr(value, "__array__"):
        raise InputError(f"An array of shape {np.shape(value)} does not say its rate.", hint=HINT)
    if not is_array_clip(value):
        return sound_size(value, is_read=is_read)
    samples, rate = _array(value)
    return SoundSize(len(samples), samples.shape[1], rate)


def mono_window(value: Any, seconds: float) -> tuple[np.ndarray, int]:
    """Returns the middle `seconds` of a clip, or all if it is shorter, and its rate.

    Only these are read of a file.

    Args:
        value: As `clip_size`.
        seconds: Most that is taken.

    Returns:
        The mean of all channels, float32 (N,).

    Raises:
        InputError: It is no clip, beyond the limits, damaged, or holds no finite numbers.
    """
    size = clip_size(value)
    frames = min(size.frames, wanted_frames(seconds, size.rate))
    start = (size.frames - frames) // 2
    if is_array_clip(value):
        samples = _array(value)[0][start : start + frames]
    else:
        samples = read_sound(value, start, frames)
    _check_values(samples)
    return np.ascontiguousarray(samples.mean(axis=1, dtype=np.float32)), size.rate


def wanted_frames(seconds: float, rate: int) -> int:
    """Returns how many frames of a clip are looked at."""
    return max(1, math.ceil(seconds * rate - 1e-6))


def resampled(samples: np.ndarray, rate: int, wanted: int) -> np.ndarray:
    """Returns mono samples at another rate, by soxr's band-limited interpolation."""
    if rate == wanted:
        return samples
    soxr = require("soxr", for_="resampling sounds", extra="audio")
    return np.asarray(soxr.resample(samples, rate, wanted), np.float32)


def _array(value: Any) -> tuple[np.ndarray, int]:
    """Returns the samples of an array clip, float32 (frames, channels), and its rate."""
    given, rate = _parts(value)
    samples = _scaled(_numbers(given))
    if samples.ndim == 1:
        samples = samples[:, None]
    if samples.ndim != 2:
        raise InputError(f"got samples of shape {samples.shape}", hint=HINT)
    if samples.shape[1] > MOST_CHANNELS or not samples.shape[1]:
        raise InputError(
            f"got samples of shape {samples.shape}; right is (frames, channels)", hint=HINT
        )
    check_size(SoundSize(len(samples), samples.shape[1], rate))
    return samples, rate


def _parts(value: Any) -> tuple[Any, int]:
    if isinstance(value, tuple):
        value = dict(zip(("samples", "rate"), value, strict=True))
    if set(value) != {"samples", "rate"}:
        names = sorted(str(name)[:_SHOWN] for name in value)[:5]
        raise InputError(f"Got an object with {names}.", hint=HINT)
    return value["samples"], _rate(value["rate"])


def _rate(given: Any) -> int:
    is_number = isinstance(given, (int, float, np.integer, np.floating))
    if is_number and RATES[0] <= given <= RATES[1] and given == int(given):
        return int(given)
    is_short = not isinstance(given, int) or abs(given) < 10**_SHOWN
    raise InputError(
        f"The rate is {str(given)[:_SHOWN] if is_short else 'too large'}; a whole number of "
        f"frames a second from {RATES[0]:,} to {RATES[1]:,} would be right."
    )


def _numbers(given: Any) -> np.ndarray:
    if hasattr(given, "detach"):
        given = given.detach().cpu()
    try:
        array = np.asarray(given)
    except ValueError as error:
        raise InputError("The samples have different numbers of channels.", hint=HINT) from error
    if array.dtype.kind not in "uif" or array.ndim == 0:
        raise InputError(f"The samples are {array.dtype} of shape {array.shape}.", hint=HINT)
    return array


def _scaled(array: np.ndarray) -> np.ndarray:
    """Returns float32, full scale at ±1."""
    offset, scale = _SCALES.get(array.dtype.name, (0.0, 1.0))
    with np.errstate(over="ignore"):
        return ((array - offset) / scale if scale != 1 else array).astype(np.float32)


def _check_values(samples: np.ndarray) -> None:
    bad = int((~np.isfinite(samples)).sum())
    if bad:
        raise InputError(f"{bad:,} of its samples are NaN or infinite")
    loudest = float(np.abs(samples).max())
    if loudest > _LOUDEST:
        raise InputError(f"its samples reach {loudest:,.4g}; floats from -1 to 1 are right")
