"""The only door through which pictures are opened: known formats, and limits from the header."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from workbench.core.errors import InputError
from workbench.core.optional import require
from workbench.data.picture_headers import foreign_format, tiff_header, webp_pixels
from workbench.data.picture_work import check_work

# Each of these is decoded inside this process. What Pillow knows beside them may start programs.
FORMATS = ("PNG", "JPEG", "GIF", "BMP", "PPM", "WEBP", "TIFF")
SUFFIXES = frozenset(
    (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".pbm")
)
_PLUGINS = ("Png", "Jpeg", "Mpo", "Gif", "Bmp", "Ppm", "WebP", "Tiff")
_HEADER_READS = 10_000
_FOR = "reading pictures"


@dataclass(frozen=True)
class PictureLimits:
    """What one picture may be, as its header tells.

    Attributes:
        pixels: Width times height.
        working_bytes: Memory that decoding it takes.
        frames: Pages or frames that the header announces; the first is decoded.
        scans: Passes over the pixels that a JPEG asks for; progressive ones have about ten.
        text_bytes: Of a PPM written as text.
    """

    pixels: int = 178_956_970
    working_bytes: int = 3_000_000_000
    frames: int = 10_000
    scans: int = 1000
    text_bytes: int = 200_000_000


ON_DISK = PictureLimits()
IN_REQUEST = PictureLimits(50_000_000, 256_000_000, 1000, 100, 4_000_000)


def pillow() -> ModuleType:
    """Returns Pillow's `Image` module."""
    return require("PIL.Image", for_=_FOR)


def prepare() -> None:
    """Imports the readers of the known formats, and no other."""
    for name in _PLUGINS:
        require(f"PIL.{name}ImagePlugin", for_=_FOR)


def open_picture(value: Any, limits: PictureLimits = ON_DISK) -> Any:
    """Returns a Pillow image of a path, bytes or a binary file; only its header has been read.

    Args:
        value: A path, the bytes of a file, or a binary file.
        limits: What it may be.

    Raises:
        InputError: It is none of these, not a picture of a known format, or beyond the limits.
    """
    return readable(lambda: _opened(_bytes(value), limits))


def readable(work: Callable[[], Any]) -> Any:
    """Returns what `work` returns; what Pillow raises on damaged files becomes an `InputError`.

    Raises:
        InputError: The picture is damaged.
    """
    image = pillow()
    try:
        return work()
    except InputError:
        raise
    except image.UnidentifiedImageError as error:
        raise InputError("not a readable picture (unknown format)") from error
    except image.DecompressionBombError as error:
        raise InputError(f"not opened: {error}") from error
    except _READ_ERRORS as error:
        raise InputError(
            f"not a readable picture ({str(error) or type(error).__name__})"
        ) from error


def check_pixels(pixels: int, size: str, limits: PictureLimits) -> None:
    """Refuses what has more pixels than the limit.

    Raises:
        InputError: It has.
    """
    if pixels > limits.pixels:
        raise InputError(
            f"not opened: {size} are {_millions(pixels)} million pixels; "
            f"{_millions(limits.pixels)} million are the most",
            context={"limit": limits.pixels},
        )


class _File(io.BytesIO):
    """A file of which only so many pieces are read: no header has more, no picture smaller ones."""

    reads = _HEADER_READS

    def read(self, size: int | None = -1, /) -> bytes:
        self.reads -= 1
        if self.reads < 0:
            raise OSError("it has too many parts")
        return super().read(size)


def _bytes(value: Any) -> bytes:
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    if isinstance(value, (str, Path)):
        try:
            return Path(value).read_bytes()
        except FileNotFoundError as error:
            raise InputError(f"There is no file '{value}'.") from error
    if hasattr(value, "read"):
        return bytes(value.read())
    raise InputError(
        f"A {type(value).__name__} is not a picture.",
        hint="Give a file name, its bytes, a Pillow image or an array.",
    )


def _opened(data: bytes, limits: PictureLimits) -> Any:
    foreign = foreign_format(data)
    if foreign is not None:
        raise InputError(f"{foreign} is not opened; {', '.join(FORMATS)} are")
    check_pixels(webp_pixels(data), "its canvas", limits)
    tiff = tiff_header(data, limits.frames)
    if tiff is not None:
        check_pixels(tiff.tile_pixels, "its tiles", limits)
    check_work(data, limits.scans, limits.text_bytes)
    prepare()
    file = _File(data)
    picture = _reader(data)(file, "")
    width, height = picture.size
    check_pixels(width * height, f"{width} × {height}", limits)
    _check_frames(picture.__dict__.get("n_frames", 1) if tiff is None else tiff.pages, limits)
    file.reads = 10 * _HEADER_READS + len(data) // 100
    return picture


def _reader(data: bytes) -> Callable[[Any, str], Any]:
    """Returns Pillow's reader of the format; `Image.open` would also warn of what we decide."""
    registered = pillow().OPEN
    for name in FORMATS:
        read, accepts = registered[name]
        if accepts(data[:16]) is True:
            return read  # type: ignore[no-any-return]
    raise pillow().UnidentifiedImageError


def _check_frames(frames: int, limits: PictureLimits) -> None:
    if frames > limits.frames:
        raise InputError(
            f"not opened: more than {limits.frames:,} frames", context={"limit": limits.frames}
        )


def _millions(pixels: int) -> str:
    return f"{pixels / 1e6:.3g}" if pixels < 1e7 else f"{pixels / 1e6:.1f}".removesuffix(".0")


# Pillow's readers raise all of these on damaged files.
_READ_ERRORS = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    LookupError,
    TypeError,
    AttributeError,
    AssertionError,
    OverflowError,
    MemoryError,
    struct.error,
    zlib.error,
)
