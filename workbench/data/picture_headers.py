"""What the first bytes of a file tell before any library reads it. Reads bytes, decodes nothing."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from workbench.core.errors import InputError

# Formats that others read, some of them by starting a program; told, and never opened.
_FOREIGN = (
    (0, b"%!PS", "PostScript (EPS)"),
    (0, b"\xc5\xd0\xd3\xc6", "PostScript (EPS)"),
    (0, b"%PDF", "PDF"),
    (0, b"8BPS", "Photoshop (PSD)"),
    (0, b"\x00\x00\x01\x00", "ICO"),
    (0, b"icns", "ICNS"),
    (0, b"\xd7\xcd\xc6\x9a", "Windows Metafile (WMF)"),
    (0, b"\x01\x00\x00\x00", "Windows Metafile (EMF)"),
    (0, b"\x00\x00\x00\x0cjP  ", "JPEG 2000"),
    (0, b"\xff\x4f\xff\x51", "JPEG 2000"),
    (4, b"ftypavi", "AVIF"),
    (4, b"ftyphei", "HEIC"),
    (4, b"ftypmif", "HEIC"),
    (0, b"DDS ", "DDS"),
    (0, b"SIMPLE", "FITS"),
    (0, b"BUFR", "BUFR"),
    (0, b"GRIB", "GRIB"),
    (0, b"\x89HDF", "HDF5"),
    (0, b"\xd0\xcf\x11\xe0", "FlashPix or MIC"),
    (0, b"qoif", "QOI"),
    (0, b"<svg", "SVG"),
    (0, b"<?xml", "XML or SVG"),
)
_TEXT_TYPES = (1, 2, 6, 7)  # one byte each: BYTE, ASCII, SBYTE, UNDEFINED
_TILE_WIDTH, _TILE_LENGTH = 322, 323
_STRIP_COUNTS, _TILE_COUNTS = 279, 325  # bytes of each strip or tile
_SLACK = 2  # some writers count a little too much
_MOST_NUMBERS, _MOST_FIELDS = 200_000, 4096


def foreign_format(data: bytes) -> str | None:
    """Returns the name of a format that is known and not opened; None for anything else."""
    head = data[:64].lstrip(b"\r\n\t ") if data[:1] in b"\r\n\t " else data[:64]
    return next((name for at, sign, name in _FOREIGN if head[at:].startswith(sign)), None)


def webp_pixels(data: bytes) -> int:
    """Returns the pixels of a WebP's canvas, which its decoder takes when it is opened; else 0.

    Source: WebP Container Specification, "Extended File Format"; RFC 6386, section 9.1.
    """
    if data[:4] != b"RIFF" or data[8:12] != b"WEBP" or len(data) < 30:
        return 0
    kind = data[12:16]
    if kind == b"VP8X":
        width, height = (1 + int.from_bytes(data[at : at + 3], "little") for at in (24, 27))
        return width * height
    if kind == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return (1 + (bits & 0x3FFF)) * (1 + (bits >> 14 & 0x3FFF))
    width, height = struct.unpack_from("<HH", data, 26)
    return int((width & 0x3FFF) * (height & 0x3FFF))


@dataclass(frozen=True)
class TiffHeader:
    """What a TIFF says of itself. Source: TIFF 6.0, section 2; BigTIFF.

    Attributes:
        pages: Its pages, counted up to what was asked for.
        tile_pixels: Pixels of the largest tile; 0 for strips.
    """

    pages: int
    tile_pixels: int


def tiff_header(data: bytes, most_pages: int) -> TiffHeader | None:
    """Returns what a TIFF says of its pages and tiles; None for another format.

    Args:
        data: The file.
        most_pages: Pages are counted up to one more.

    Raises:
        InputError: A field has more numbers than any picture needs, or the file is cut off.
    """
    order = {b"II": "<", b"MM": ">"}.get(data[:2])
    if order is None or len(data) < 16:
        return None
    version = struct.unpack_from(f"{order}H", data, 2)[0]
    if version not in (42, 43):
        return None
    is_big = version == 43
    place = struct.unpack_from(f"{order}Q", data, 8)[0] if is_big else _long(data, order, 4)
    pages, tile_pixels = 0, 0
    try:
        while place and pages <= most_pages:
            place, tile = _directory(data, order, place, is_big=is_big)
            pages, tile_pixels = pages + 1, max(tile_pixels, tile)
    except struct.error as error:
        raise InputError("not a readable picture (its TIFF directory is cut off)") from error
    return TiffHeader(pages, tile_pixels)


def _long(data: bytes, order: str, at: int) -> int:
    return int(struct.unpack_from(f"{order}L", data, at)[0])


def _directory(data: bytes, order: str, place: int, *, is_big: bool) -> tuple[int, int]:
    """Returns where the next directory is, and the pixels of a tile of this one."""
    head, field, link = ("Q", "HHQQ", "Q") if is_big else ("H", "HHLL", "L")
    count = struct.unpack_from(order + head, data, place)[0]
    if count > _MOST_FIELDS:
        raise InputError(f"not opened: a TIFF directory of {count:,} fields")
    first, step = place + struct.calcsize(order + head), struct.calcsize(order + field)
    sides = {}
    for index in range(count):
        at = first + index * step
        tag, kind, number, _ = struct.unpack_from(order + field, data, at)
        if kind not in _TEXT_TYPES and number > _MOST_NUMBERS:
            raise InputError(
                f"not opened: a TIFF field of {number:,} numbers; {_MOST_NUMBERS:,} are the most"
            )
        if tag in (_STRIP_COUNTS, _TILE_COUNTS):
            _check_pieces(data, order, at, kind, number, is_big=is_big)
        if tag in (_TILE_WIDTH, _TILE_LENGTH) and kind in (3, 4):
            value_at = at + (12 if is_big else 8)
            sides[tag] = struct.unpack_from(order + "HL"[kind - 3], data, value_at)[0]
    after = struct.unpack_from(order + link, data, first + count * step)[0]
    return int(after), sides.get(_TILE_WIDTH, 0) * sides.get(_TILE_LENGTH, 0)


def _check_pieces(
    data: bytes, order: str, at: int, kind: int, number: int, *, is_big: bool
) -> None:
    """Refuses strips or tiles that lie over each other: each would be read to its end.

    Raises:
        InputError: They do.
    """
    form = {3: "H", 4: "L", 13: "L", 16: "Q"}.get(kind)
    if form is None:
        return
    size, room = struct.calcsize(order + form) * number, 8 if is_big else 4
    place = at + (12 if is_big else 8)
    if size > room:
        place = struct.unpack_from(order + ("Q" if is_big else "L"), data, place)[0]
    total = sum(struct.unpack_from(f"{order}{number}{form}", data, place))
    if total > _SLACK * len(data):
        raise InputError(
            f"not opened: its {number:,} strips or tiles are {total:,} bytes of a file of "
            f"{len(data):,}"
        )
