"""Sound files are opened by their content, whole, within limits, or refused in words."""

from __future__ import annotations

import io
import struct
import zipfile

import numpy as np
import pytest

from tests.unit.data.sounds import sound, tone
from workbench.core.errors import InputError
from workbench.data.sound_file import read_sound, sound_size, wav_bytes

TONE = tone(440, 8000, 0.5, 0.5)


def zipped() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a.txt", "x")
    return file.getvalue()


def nan_wav() -> bytes:
    return wav_bytes(np.where(np.arange(800) % 7 == 0, np.nan, TONE[:800]), 8000)


def header(data: bytes, at: int, form: str, value: int) -> bytes:
    return data[:at] + struct.pack(form, value) + data[at + struct.calcsize(form) :]


@pytest.mark.parametrize(
    ("kind", "coding"),
    [
        ("WAV", "PCM_U8"), ("WAV", "PCM_16"), ("WAV", "PCM_24"), ("WAV", "PCM_32"),
        ("WAV", "FLOAT"), ("WAV", "DOUBLE"), ("WAV", "ULAW"), ("WAVEX", "PCM_16"),
        ("FLAC", "PCM_16"), ("FLAC", "PCM_24"), ("OGG", "VORBIS"), ("OGG", "OPUS"),
    ],
)  # fmt: skip
def test_common_files_are_read(kind, coding):
    data = sound(np.stack([TONE, TONE], axis=1), 8000, kind, coding)
    size = sound_size(data, is_read=True)
    assert (size.channels, size.rate) == (2, 8000)
    assert size.frames == len(TONE)
    read = read_sound(data, 1000, 2000)
    assert read.dtype == np.float32
    assert read.shape == (2000, 2)
    assert np.corrcoef(read[:, 0], TONE[1000:3000])[0, 1] > 0.98


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "an empty file"),
        ("这不是声音\n".encode(), "a text"),
        (b"hello there, no sound at all", "a text"),
        (zipped(), "ZIP is not opened"),
        (b"ID3\x04" + bytes(99), "MP3 is not opened; WAV, FLAC, OGG are"),
        (b"\xff\xfb\x90\x00" + bytes(99), "MP3 or AAC"),
        (b"\x00\x00\x00\x20ftypM4A " + bytes(99), "MP4 or M4A"),
        (bytes(range(256)), "unknown format"),
        (sound(TONE, 8000, "AIFF"), "AIFF"),
        (sound(TONE, 8000, "WAV", "IMA_ADPCM"), "IMA ADPCM"),
        (wav_bytes(TONE[:0], 8000), "0 frames"),
        (header(wav_bytes(TONE, 8000), 24, "<I", 0), "not a readable sound"),
        (header(wav_bytes(TONE, 8000), 24, "<I", 500), "500 frames a second"),
        (header(wav_bytes(TONE, 8000), 24, "<I", 2_000_000_000), "frames a second"),
    ],
)
def test_what_is_no_sound_is_refused_in_words(data, words):
    with pytest.raises(InputError, match=words):
        sound_size(data)


@pytest.mark.parametrize("kind", ["WAV", "FLAC", "OGG"])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.97])
def test_a_file_that_is_cut_off_is_refused(kind, share):
    noise = 0.3 * np.random.default_rng(0).standard_normal(40_000)
    data = sound(noise, 8000, kind)
    with pytest.raises(InputError, match=r"cut off|not a readable sound"):
        sound_size(data[: int(share * len(data))], is_read=True)


def test_a_file_written_to_a_pipe_does_not_know_its_length():
    data = header(header(wav_bytes(TONE, 8000), 40, "<I", 0xFFFFFFFF), 4, "<I", 0xFFFFFFFF)
    assert sound_size(data, is_read=True).frames == len(TONE)


@pytest.mark.parametrize("kind", ["WAV", "FLAC", "OGG"])
def test_any_bytes_are_read_or_refused(kind):
    good = sound(np.stack([TONE, TONE], 1), 8000, kind)
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(150):
        damaged = bytearray(good)
        for place in rng.integers(0, min(len(good), 300), rng.integers(1, 9)):
            damaged[place] = rng.integers(256)
        try:
            size = sound_size(bytes(damaged))
            read_sound(bytes(damaged), 0, min(size.frames, 5000))
        except InputError as error:
            refused += 1
            assert error.message  # noqa: PT017
    assert refused > 20


def test_wav_files_of_our_own_are_what_others_read():
    assert np.array_equal(read_sound(wav_bytes(TONE, 8000), 0, len(TONE))[:, 0], TONE)
    small = read_sound(wav_bytes(TONE, 8000, is_small=True), 0, len(TONE))[:, 0]
    assert np.abs(small - TONE).max() < 1e-4
    assert wav_bytes(TONE, 8000) == wav_bytes(TONE, 8000)
