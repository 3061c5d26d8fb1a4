"""Pictures to arrays: the same pixels for training and at the endpoint, in little memory."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType
from typing import Any

import numpy as np

from workbench.core.errors import InputError
from workbench.core.optional import require
from workbench.data import picture_file
from workbench.data.picture_file import PictureLimits, open_picture, pillow, readable

_ORIENTATION = 0x0112  # EXIF 2.32, tag Orientation
_ON_SIDE = (5, 6, 7, 8)
MODES = {1: "L", 3: "RGB", 4: "RGBA"}
# From here on a JPEG is decoded at 1/2, 1/4 or 1/8, as long as twice the size wanted is left.
_REDUCED_FROM, _MARGIN = 4_000_000, 2
_STRIP = 1 << 20
_THREE_AT_ONCE = b"\x00\x0c\x03"  # a scan's length and components. Source: ITU T.81, B.2.3
_SMALL_MODES = {"1": 1, "L": 1, "P": 1}  # bytes that Pillow keeps of a pixel; 2 for I;16, else 4


def prepare() -> None:
    """Imports what `open_picture` and `picture_array` need for the known formats."""
    picture_file.prepare()
    require("PIL.ImageOps", for_="reading pictures")


def is_picture(value: Any) -> bool:
    """Returns whether `value` is a Pillow image, without importing Pillow."""
    return hasattr(value, "convert") and hasattr(value, "mode") and hasattr(value, "size")


def channels_of(picture: Any) -> int:
    """Returns 1 for a gray picture and 3 for any other."""
    mode = picture.mode
    return 1 if mode in ("1", "L", "I", "F") or mode.startswith("I;16") else 3


def picture_array(picture: Any, channels: int, size: tuple[int, int], resize: str) -> np.ndarray:
    """Returns a Pillow image as uint8, shape (height, width, channels).

    Turned upright by its EXIF tag; transparency is laid on white; 16-bit gray becomes 8-bit. Of a
    JPEG with more than four million pixels only as many are decoded as `size` needs.

    Args:
        picture: A Pillow image.
        channels: 1, 3 or 4.
        size: Height and width wanted.
        resize: "stretch" to that size, or "crop" the middle after filling it.

    Raises:
        InputError: The picture is damaged.
    """
    return np.asarray(readable(lambda: _array(picture, channels, size, resize)))


def weigh(value: Any, channels: int, size: tuple[int, int], limits: PictureLimits) -> int:
    """Returns how many bytes of memory `picture_array` takes, as the header tells.

    Args:
        value: A path or the bytes of a file.
        channels: As `picture_array`.
        size: As `picture_array`.
        limits: What it may be.

    Raises:
        InputError: It is no picture, or beyond the limits.
    """
    picture = open_picture(value, limits)
    taken = int(readable(lambda: _working_bytes(picture, MODES[channels], size)))
    if taken > limits.working_bytes:
        raise InputError(
            f"not opened: decoding it takes {taken / 1e6:,.0f} MB; "
            f"{limits.working_bytes / 1e6:,.0f} MB are the most",
            context={"limit": limits.working_bytes},
        )
    return taken


def upright_size(picture: Any) -> tuple[int, int]:
    """Returns height and width after turning by the EXIF tag; reads the header only."""
    width, height = picture.size
    may_turn = getattr(picture, "format", None) in ("JPEG", "MPO", "TIFF", "WEBP")
    turned = may_turn and readable(lambda: _orientation(picture)) in _ON_SIDE
    return (width, height) if turned else (height, width)


def _orientation(picture: Any) -> Any:
    return picture.getexif().get(_ORIENTATION, 1)


def _array(picture: Any, channels: int, size: tuple[int, int], resize: str) -> np.ndarray:
    operations = require("PIL.ImageOps", for_="reading pictures")
    orientation = _orientation(picture)
    _reduce(picture, size, orientation)
    upright = operations.exif_transpose(picture) if orientation != 1 else picture
    image = _converted(upright, _mode_at_full_size(upright, MODES[channels]))
    if image.size != (size[1], size[0]):
        image = _resized(image, size, resize, operations)
    if image.mode != MODES[channels]:
        image = image.convert(MODES[channels])
    array = np.asarray(image, np.uint8)
    return array[:, :, None] if channels == 1 else array


def _mode_at_full_size(picture: Any, mode: str) -> str:
    """Returns "L" for gray that becomes color: three equal channels are made when it is small."""
    is_gray = channels_of(picture) == 1 and not _is_transparent(picture)
    return "L" if is_gray and mode == "RGB" else mode


def _reduce(picture: Any, size: tuple[int, int], orientation: Any) -> None:
    """Makes a large JPEG decode at a fraction of its size, which its format allows for free."""
    width, height = picture.size
    if getattr(picture, "format", None) in ("JPEG", "MPO") and width * height > _REDUCED_FROM:
        wanted = size if orientation in _ON_SIDE else size[::-1]
        picture.draft(None, (_MARGIN * wanted[0], _MARGIN * wanted[1]))


def _working_bytes(picture: Any, mode: str, size: tuple[int, int]) -> int:
    scans = _scan_bytes(picture)
    # In a PNG the tag may come after the pixels; looking for it would decode them.
    orientation = None if picture.format == "PNG" else _orientation(picture)
    _reduce(picture, size, orientation)
    mode = _mode_at_full_size(picture, mode)
    own, wanted = _stored(picture.mode), _stored(mode)
    a_pixel = own * (2 if orientation != 1 else 1) + (wanted if picture.mode != mode else 0)
    a_pixel += 1 if picture.mode.startswith("I") and mode != "L" else 0
    if picture.format == "WEBP":
        a_pixel += 3 * _stored("RGBA")  # the canvas, the frame before and the bytes of this one
    width, height = picture.size
    return int(scans + a_pixel * width * height)


def _stored(mode: str) -> int:
    return 2 if mode.startswith("I;16") else _SMALL_MODES.get(mode, 4)


def _scan_bytes(picture: Any) -> int:
    """Returns what libjpeg keeps of a JPEG whose components do not come together: all of it."""
    if picture.format not in ("JPEG", "MPO"):
        return 0
    layers = picture.layers
    is_one = layers == 1 or (layers == 3 and _scan_header(picture.fp) == _THREE_AT_ONCE)
    width, height = picture.size
    is_whole = "progressive" in picture.info or not is_one
    return 2 * layers * width * height if is_whole else 0


def _scan_header(file: Any) -> bytes:
    """Returns length and number of components of the first scan, which was just read, if three."""
    place = file.tell()
    file.seek(place - 12)
    head = file.read(3)
    file.seek(place)
    return bytes(head)


def _is_transparent(image: Any) -> bool:
    return image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info


def _converted(image: Any, mode: str) -> Any:
    if image.mode.startswith("I"):
        image = _eight_bits(image)
    if _is_transparent(image) and mode != "RGBA":
        return _on_white(image, mode)
    return image if image.mode == mode else image.convert(mode)


def _on_white(image: Any, mode: str) -> Any:
    """Returns a transparent picture laid on white, in another mode."""
    result = pillow().new(mode, image.size)
    for place, strip in _strips(image):
        layer = strip.convert("RGBA")
        white = pillow().new("RGBA", layer.size, (255, 255, 255, 255))
        result.paste(pillow().alpha_composite(white, layer).convert(mode), place)
    return result


def _eight_bits(image: Any) -> Any:
    """Returns 16-bit gray as 8-bit: 65535 becomes 255."""
    result = pillow().new("L", image.size)
    for place, strip in _strips(image):
        gray = np.clip(np.asarray(strip) // 257, 0, 255).astype(np.uint8)
        result.paste(pillow().fromarray(gray), place)
    return result


def _strips(image: Any) -> Iterator[tuple[tuple[int, int], Any]]:
    """Yields a picture in pieces, each with its place, so that work on pixels takes little more."""
    width, height = image.size
    rows = max(1, _STRIP // max(1, width))
    for top in range(0, height, rows):
        yield (0, top), image.crop((0, top, width, min(height, top + rows)))


def _resized(image: Any, size: tuple[int, int], resize: str, operations: ModuleType) -> Any:
    target = (size[1], size[0])
    method = pillow().Resampling.BILINEAR
    if resize == "crop":
        return operations.fit(image, target, method)
    return image.resize(target, method)
