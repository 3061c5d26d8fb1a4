"""Sounds made by formula, and written as people have them."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest

soundfile = pytest.importorskip("soundfile", reason="needs the extra 'audio'")
pytest.importorskip("soxr", reason="needs the extra 'audio'")


def tone(pitch: float, rate: int = 16_000, seconds: float = 0.5, loudness: float = 1.0):
    """A sine, float32 (frames,)."""
    moments = np.arange(round(rate * seconds)) / rate
    return (loudness * np.sin(2 * np.pi * pitch * moments)).astype(np.float32)


def chirp(low: float, high: float, rate: int, seconds: float):
    """A sine whose pitch rises evenly."""
    moments = np.arange(round(rate * seconds)) / rate
    phase = low * moments + (high - low) * moments**2 / (2 * seconds)
    return (0.8 * np.sin(2 * np.pi * phase)).astype(np.float32)


def sound(samples, rate: int = 16_000, kind: str = "WAV", coding: str | None = None) -> bytes:
    """The bytes of a file."""
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=kind, subtype=coding)
    return file.getvalue()


def clip_folder(root: Path, count: int = 8, seed: int = 0) -> Path:
    """Three classes of clips of different formats, rates and lengths, one folder each."""
    rng = np.random.default_rng(seed)
    for index in range(count):
        rate = (8000, 16_000, 22_050)[index % 3]
        seconds = float(rng.uniform(0.25, 0.45))
        pitch = float(rng.uniform(400, 900))
        made = {
            "音": tone(pitch, rate, seconds, float(rng.uniform(0.3, 0.9))),
            "chirp": chirp(pitch, pitch + 2500, rate, seconds),
            "noise": (0.2 * rng.standard_normal(round(rate * seconds))).astype(np.float32),
        }
        for label, samples in made.items():
            kind = ("wav", "flac", "ogg")[index % 3]
            if kind == "flac":
                samples = np.stack([samples, 0.5 * samples], axis=1)
            folder = root / label
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{index:02d}.{kind}").write_bytes(sound(samples, rate, kind.upper()))
    return root
