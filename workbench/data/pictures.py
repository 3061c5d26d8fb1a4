"""Pictures to arrays with Pillow, which is imported only when a picture is met."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from workbench.core.errors import InputError
from workbench.core.optional import require

_ORIENTATION = 0x0112  # EXIF 2.32, tag Orientation
MODES = {1: "L", 3: "RGB", 4: "RGBA"}
SUFFIXES = frozenset(
    (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".pbm")
)


def pillow() -> ModuleType:
    """Returns Pillow's `Image` module."""
    return require("PIL.Image", for_="reading pictures")


def prepare() -> None:
    """Imports what `open_picture` and `picture_array` need for the common formats."""
    pillow().preinit()
    require("PIL.ImageOps", for_="reading pictures")


def is_picture(value: Any) -> bool:
    """Returns whether `value` is a Pillow image, without importing Pillow."""
    return hasattr(value, "convert") and hasattr(value, "mode") and hasattr(value, "size")


def open_picture(value: Any) -> Any:
    """Returns a Pillow image of a path, bytes or a binary file.

    Raises:
        InputError: It is none of these, or not a picture.
    """
    image = pillow()
    try:
        if isinstance(value, (bytes, bytearray, memoryview)):
            return image.open(io.BytesIO(bytes(value)))
        if isinstance(value, (str, Path)):
            return image.open(io.BytesIO(Path(value).read_bytes()))
        if hasattr(value, "read"):
            return image.open(io.BytesIO(value.read()))
    except FileNotFoundError as error:
        raise InputError(f"There is no file '{value}'.") from error
    except (image.DecompressionBombError, *_READ_ERRORS) as error:
        raise InputError(f"not a readable picture ({_reason(error)})") from error
    raise InputError(
        f"A {type(value).__name__} is not a picture.",
        hint="Give a file name, its bytes, a Pillow image or an array.",
    )


def channels_of(picture: Any) -> int:
    """Returns 1 for a gray picture and 3 for any other."""
    mode = picture.mode
    return 1 if mode in ("1", "L", "I", "F") or mode.startswith("I;16") else 3


def picture_array(picture: Any, channels: int, size: tuple[int, int], resize: str) -> np.ndarray:
    """Returns a Pillow image as uint8, shape (height, width, channels).

    Turned upright by its EXIF tag; transparency is laid on white; 16-bit gray becomes 8-bit.

    Args:
        picture: A Pillow image.
        channels: 1, 3 or 4.
        size: Height and width wanted.
        resize: "stretch" to that size, or "crop" the middle after filling it.

    Raises:
        InputError: The picture is damaged.
    """
    operations = require("PIL.ImageOps", for_="reading pictures")
    try:
        is_turned = picture.getexif().get(_ORIENTATION, 1) != 1
        upright = operations.exif_transpose(picture) if is_turned else picture
        image = _converted(upright, MODES[channels])
        if image.size != (size[1], size[0]):
            image = _resized(image, size, resize, operations)
    except _READ_ERRORS as error:
        raise InputError(f"not a readable picture ({_reason(error)})") from error
    array = np.asarray(image, np.uint8)
    return array[:, :, None] if channels == 1 else array


def upright_size(picture: Any) -> tuple[int, int]:
    """Returns height and width after turning by the EXIF tag; reads the header only."""
    width, height = picture.size
    may_turn = getattr(picture, "format", None) in ("JPEG", "MPO", "TIFF", "WEBP")
    turned = may_turn and picture.getexif().get(_ORIENTATION, 1) in (5, 6, 7, 8)
    return (width, height) if turned else (height, width)


def _converted(image: Any, mode: str) -> Any:
    if image.mode.startswith("I"):
        wide = np.asarray(image, np.float64)
        image = pillow().fromarray(np.clip(wide / 257, 0, 255).astype(np.uint8))
    transparent = image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info
    if transparent and mode != "RGBA":
        layer = image.convert("RGBA")
        white = pillow().new("RGBA", layer.size, (255, 255, 255, 255))
        image = pillow().alpha_composite(white, layer)
    return image if image.mode == mode else image.convert(mode)


def _resized(image: Any, size: tuple[int, int], resize: str, operations: ModuleType) -> Any:
    target = (size[1], size[0])
    method = pillow().Resampling.BILINEAR
    if resize == "crop":
        return operations.fit(image, target, method)
    return image.resize(target, method)


def _reason(error: BaseException) -> str:
    text = str(error)
    return "unknown format" if "cannot identify" in text else text or type(error).__name__


# Pillow's readers raise all of these on damaged files.
_READ_ERRORS = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    IndexError,
    TypeError,
    OverflowError,
    struct.error,
    zlib.error,
)
