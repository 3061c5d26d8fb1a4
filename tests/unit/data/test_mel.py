"""Log-mel spectrograms beside the formulas written out, and what tones must look like."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.unit.data.sounds import tone
from workbench.data import mel

RATE, WINDOW, HOP = 16_000, 400, 160


def filters(bands=40, low=20.0, high=8000.0):
    fft = mel.fft_size(bands, WINDOW, RATE, low, high)
    return mel.filterbank(bands, fft, RATE, low, high)


def spectrogram(samples, bands=40, floor_db=-100.0):
    return mel.log_mel(samples, WINDOW, HOP, filters(bands), floor_db)


def by_hand(samples, bands, low, high, floor_db):
    """The same by loops and the definition of the Fourier transform, in float64."""
    fft = 512
    to_mel = lambda f: 2595 * math.log10(1 + f / 700)  # noqa: E731
    step = (to_mel(high) - to_mel(low)) / (bands + 1)
    edges = [700 * (10 ** ((to_mel(low) + i * step) / 2595) - 1) for i in range(bands + 2)]
    hann = [0.5 - 0.5 * math.cos(2 * math.pi * n / WINDOW) for n in range(WINDOW)]
    turns = np.exp(-2j * np.pi * np.outer(np.arange(fft // 2 + 1), np.arange(WINDOW)) / fft)
    columns = []
    for start in range(0, len(samples) - WINDOW + 1, HOP):
        frame = samples[start : start + WINDOW].astype(np.float64) * hann
        power = np.abs(turns @ frame) ** 2 * 4 / sum(hann) ** 2
        column = []
        for i in range(bands):
            left, middle, right = edges[i : i + 3]
            total = 0.0
            for k, value in enumerate(power):
                f = k * RATE / fft
                if left < f <= middle:
                    total += value * (f - left) / (middle - left)
                elif middle < f < right:
                    total += value * (right - f) / (right - middle)
            column.append(10 * math.log10(max(total, 10 ** (floor_db / 10))))
        columns.append(column)
    return np.array(columns).T


def test_mels_are_those_of_the_literature():
    # HTK Book and Stevens, Volkmann, Newman (1937): 1000 Hz are 1000 mel.
    assert float(mel.hertz_to_mel(1000.0)) == pytest.approx(1000, abs=0.1)
    assert float(mel.hertz_to_mel(0.0)) == 0
    assert float(mel.hertz_to_mel(700.0)) == pytest.approx(781.17, abs=0.01)  # 2595 log10(2)
    hertz = np.array([50.0, 440, 4000, 8000])
    assert np.allclose(mel.mel_to_hertz(mel.hertz_to_mel(hertz)), hertz)


def test_it_is_what_the_formulas_give():
    samples = 0.3 * np.random.default_rng(0).standard_normal(1600).astype(np.float32)
    found = mel.log_mel(samples, WINDOW, HOP, mel.filterbank(26, 512, RATE, 60, 7600), -100.0)
    expected = by_hand(samples, 26, 60.0, 7600.0, -100.0)
    assert found.shape == expected.shape == (26, 8)
    assert found.dtype == np.float32
    assert np.abs(found - expected).max() < 2e-3


@pytest.mark.parametrize("band", [3, 12, 25, 38])
def test_a_tone_lights_up_its_band(band):
    pitch = float(mel.band_edges(40, 20, 8000)[band + 1])
    seen = spectrogram(tone(pitch)).mean(axis=1)
    assert int(seen.argmax()) == band
    far = np.abs(np.arange(40) - band) > 4
    assert seen[far].max() < seen[band] - 40


def test_loudness_is_told_in_decibels_of_full_scale():
    pitch = 32 * RATE / 512  # in the middle of a bin
    wide = mel.filterbank(1, 512, RATE, 0.0, 2 * pitch)
    peak = float(wide[0, 32])
    loud = mel.log_mel(tone(pitch), WINDOW, HOP, np.eye(257, dtype=np.float32), -100.0)
    assert loud[32].max() == pytest.approx(0, abs=0.02)
    assert 0 < peak <= 1
    quiet = spectrogram(tone(pitch, loudness=0.1))
    assert np.allclose(spectrogram(tone(pitch)).max() - quiet.max(), 20, atol=0.01)


def test_power_is_kept_as_parseval_says():
    samples = np.random.default_rng(1).standard_normal(WINDOW).astype(np.float32)
    seen = mel.log_mel(samples, WINDOW, HOP, np.eye(257, dtype=np.float32), -200.0)
    power = 10 ** (seen[:, 0].astype(np.float64) / 10)
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW)
    both_sides = power[0] + power[-1] + 2 * power[1:-1].sum()
    expected = 512 * np.square(samples * hann).sum() * 4 / hann.sum() ** 2
    assert both_sides == pytest.approx(expected, rel=1e-4)


def test_silence_is_the_floor_everywhere():
    assert (spectrogram(np.zeros(1600, np.float32), floor_db=-80.0) == np.float32(-80)).all()


def test_narrow_bands_get_a_longer_transform_and_none_stays_empty():
    assert mel.fft_size(26, WINDOW, RATE, 20.0, 8000.0) == 512
    assert mel.fft_size(128, WINDOW, RATE, 20.0, 8000.0) > 512
    assert filters(128).any(axis=1).all()
    assert mel.fft_size(128, WINDOW, RATE, 20.0, 40.0) is None


def test_filters_meet_at_their_middles():
    total = filters(40).sum(axis=0)
    edges = mel.band_edges(40, 20, 8000)
    bins = np.arange(len(total)) * (8000 / (len(total) - 1))
    inside = (bins >= edges[1]) & (bins <= edges[-2])
    assert np.allclose(total[inside], 1, atol=1e-5)
