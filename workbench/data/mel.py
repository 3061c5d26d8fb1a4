"""Log-mel spectrograms in NumPy: how loud each band is at each moment.

Power is relative to a sine at full scale, so that a tone of amplitude 1 is 0 dB in its band.
"""

from __future__ import annotations

import functools

import numpy as np

_LARGEST_FFT = 8192
_CHUNK = 1024  # frames at once


def hertz_to_mel(hertz: np.ndarray | float) -> np.ndarray:
    """Returns mels: 2595 log10(1 + f / 700).

    Source: O'Shaughnessy, "Speech Communication", 1987; the HTK Book 3.4, section 5.4.
    """
    return np.asarray(2595 * np.log10(1 + np.asarray(hertz) / 700))


def mel_to_hertz(mel: np.ndarray | float) -> np.ndarray:
    """Returns the frequency in hertz of mels."""
    return np.asarray(700 * (10 ** (np.asarray(mel) / 2595) - 1))


def band_edges(bands: int, low: float, high: float) -> np.ndarray:
    """Returns the edges of bands in hertz, (bands + 2,): band i goes from i over i + 1 to i + 2."""
    return mel_to_hertz(np.linspace(hertz_to_mel(low), hertz_to_mel(high), bands + 2))


@functools.lru_cache(16)
def filterbank(bands: int, fft: int, rate: int, low: float, high: float) -> np.ndarray:
    """Returns triangular filters of height 1, float32 (bands, fft // 2 + 1).

    Source: Davis and Mermelstein, "Comparison of parametric representations for monosyllabic word
    recognition", 1980; as in HTK, without normalization by width.
    """
    edges = band_edges(bands, low, high)
    bins = np.arange(fft // 2 + 1) * (rate / fft)
    rising = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    filters: np.ndarray = np.maximum(0, np.minimum(rising, falling)).astype(np.float32)
    filters.setflags(write=False)
    return filters


@functools.lru_cache(16)
def fft_size(bands: int, window: int, rate: int, low: float, high: float) -> int | None:
    """Returns the smallest power of two for which each band holds a frequency; None if none does.

    Args:
        bands: How many.
        window: Samples of a frame; the transform is no shorter.
        rate: Samples a second.
        low: Lower edge of the lowest band in hertz.
        high: Upper edge of the highest.
    """
    size = 1 << (window - 1).bit_length()
    while size <= max(_LARGEST_FFT, window):
        if filterbank(bands, size, rate, low, high).any(axis=1).all():
            return size
        size *= 2
    return None


def frame_count(samples: int, window: int, hop: int) -> int:
    """Returns how many frames lie wholly inside."""
    return 1 + (samples - window) // hop


def log_mel(
    samples: np.ndarray, window: int, hop: int, filters: np.ndarray, floor_db: float
) -> np.ndarray:
    """Returns the power of each band in dB of a full-scale sine, float32 (bands, frames).

    Args:
        samples: float32 (N,), full scale at ±1.
        window: Samples of a frame, weighed by a periodic Hann window.
        hop: Samples from one frame to the next.
        filters: float32 (bands, fft // 2 + 1), as `filterbank` gives.
        floor_db: What is more quiet is raised to this.
    """
    fft = 2 * (filters.shape[1] - 1)
    shape = np.float32(0.5) - np.float32(0.5) * np.cos(
        2 * np.pi * np.arange(window, dtype=np.float32) / window
    )
    frames = np.lib.stride_tricks.sliding_window_view(samples, window)[::hop]
    scale = float(4 / np.square(shape.sum(dtype=float)))  # of a sine's peak in the transform
    found = np.empty((len(filters), len(frames)), np.float32)
    for start in range(0, len(frames), _CHUNK):
        some = slice(start, start + _CHUNK)
        spectrum = np.fft.rfft(frames[some] * shape, fft)
        power = np.square(spectrum.real) + np.square(spectrum.imag)
        found[:, some] = filters @ (power * scale).T
    floor = np.float32(10 ** (floor_db / 10))
    return np.asarray(10 * np.log10(np.maximum(found, floor)), np.float32)
