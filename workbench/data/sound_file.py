"""The only door through which sound files are opened: known formats, and limits from the header."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

import numpy as np

from workbench.core.errors import InputError
from workbench.core.optional import require
from workbench.data.sound_headers import check_whole, sound_format

SUFFIXES = frozenset((".wav", ".flac", ".ogg", ".oga", ".opus"))
RATES = (1000, 384_000)
MOST_CHANNELS = 64
_MOST_FRAMES = 1 << 40
_MOST_FILE_BYTES = 1_000_000_000
# What each container may hold; libsndfile knows more, which nobody records and few have tried.
_CODINGS = {
    "WAV": ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW"),
    "FLAC": ("PCM_S8", "PCM_16", "PCM_24"),
    "OGG": ("VORBIS", "OPUS"),
}
Found = TypeVar("Found")
_PCM, _FLOAT = 1, 3  # format tags of WAV


@dataclass(frozen=True)
class SoundSize:
    """What a file's header says.

    Attributes:
        frames: Moments; each has a value of every channel.
        channels: 1 is mono.
        rate: Frames a second.
    """

    frames: int
    channels: int
    rate: int


def soundfile() -> ModuleType:
    """Returns the module that reads sound files."""
    return require("soundfile", for_="reading sounds", extra="audio")


def sound_size(value: Any, *, is_read: bool = False) -> SoundSize:
    """Returns what a file's header says.

    Args:
        value: A path, the bytes of a file, or a binary file.
        is_read: Whether the samples are read, too, so that damage further on is found.

    Raises:
        InputError: It is no sound of a known format, or beyond the limits.
    """
    data = sound_bytes(value)
    size = _readable(lambda: _size(_opened(data)))
    if is_read:
        read_sound(data, 0, size.frames)
    return size


def read_sound(value: Any, start: int, frames: int) -> np.ndarray:
    """Returns `frames` frames from `start` on, float32 (frames, channels), full scale at ±1.

    Raises:
        InputError: The file is damaged, ends before, or holds what is no finite number.
    """
    data = sound_bytes(value)
    return _readable(lambda: _read(data, start, frames))


def sound_bytes(value: Any) -> bytes:
    """Returns the bytes of a file.

    Args:
        value: A path, the bytes of a file, or a binary file.

    Raises:
        InputError: There is no such file, or it is too large to be read.
    """
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    if isinstance(value, (str, Path)):
        return _bytes_at(Path(value))
    if hasattr(value, "read"):
        return bytes(value.read())
    raise InputError(
        f"A {type(value).__name__} is no sound.",
        hint='Give a file name, its bytes, or {"samples": array, "rate": frames a second}.',
    )


def wav_bytes(samples: np.ndarray, rate: int, *, is_small: bool = False) -> bytes:
    """Returns mono samples as a WAV file, the same bytes each time.

    Args:
        samples: float32 (N,), full scale at ±1.
        rate: Frames a second.
        is_small: 16 bits a sample, for the ear; else float32, which loses nothing.
    """
    tag, dtype = (_PCM, "<i2") if is_small else (_FLOAT, "<f4")
    scaled = np.clip(np.round(samples * 32767), -32768, 32767) if is_small else samples
    body = scaled.astype(dtype).tobytes()
    width = np.dtype(dtype).itemsize
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, tag, 1, rate, width * rate, width, 8 * width)
    chunks = b"WAVE" + form + struct.pack("<4sI", b"data", len(body)) + body
    return struct.pack("<4sI", b"RIFF", len(chunks)) + chunks


def _bytes_at(path: Path) -> bytes:
    try:
        size = path.stat().st_size
        if size > _MOST_FILE_BYTES:
            raise InputError(
                f"not opened: a file of {size / 1e9:.1f} GB; 1 GB is the most",
                context={"limit": _MOST_FILE_BYTES},
            )
        return path.read_bytes()
    except FileNotFoundError as error:
        raise InputError(f"There is no file '{path}'.") from error


def _opened(data: bytes) -> Any:
    kind = sound_format(data)
    check_whole(data, kind)
    file = soundfile().SoundFile(io.BytesIO(data))
    found = "WAV" if file.format == "WAVEX" else file.format
    if found != kind or file.subtype not in _CODINGS[kind]:
        raise InputError(
            f"not opened: {found} with {file.subtype_info}; {kind} with "
            f"{', '.join(_CODINGS[kind])} is read"
        )
    return file


def _size(file: Any) -> SoundSize:
    size = SoundSize(file.frames, file.channels, file.samplerate)
    check_size(size)
    return size


def check_size(size: SoundSize) -> None:
    """Refuses what no clip has.

    Raises:
        InputError: It has no frame, or rate or channels out of range.
    """
    if size.frames < 1:
        raise InputError("it holds no sound: 0 frames")
    if size.frames > _MOST_FRAMES:
        raise InputError("not opened: its length is not told in its header")
    if not RATES[0] <= size.rate <= RATES[1]:
        raise InputError(
            f"not opened: {size.rate:,} frames a second; {RATES[0]:,} to {RATES[1]:,} are right"
        )
    if size.channels > MOST_CHANNELS:
        raise InputError(
            f"not opened: {size.channels:,} channels; {MOST_CHANNELS} are the most",
            context={"limit": MOST_CHANNELS},
        )


def _read(data: bytes, start: int, frames: int) -> np.ndarray:
    file = _opened(data)
    _size(file)
    if start:
        file.seek(start)
    read = file.read(frames, dtype="float32", always_2d=True)
    if len(read) < frames:
        raise InputError(
            f"the file is cut off: {frames:,} frames are announced at {start:,}, "
            f"{len(read):,} are there"
        )
    return np.asarray(read)


def _readable(work: Callable[[], Found]) -> Found:
    module = soundfile()
    try:
        return work()
    except module.SoundFileError as error:
        words = str(error).rpartition("Error : ")[2].rpartition(">: ")[2].strip(" .")
        raise InputError(f"not a readable sound ({words})") from error
