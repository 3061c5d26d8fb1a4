"""Tiny files that claim to be huge pictures, by format and bit depth; and real, large ones."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable

import numpy as np
from PIL import Image

SIDE = 60_000  # 3.6 thousand million pixels
WEBP_SIDE = 16_383


def _chunk(kind: bytes, body: bytes) -> bytes:
    crc = struct.pack(">L", zlib.crc32(kind + body))
    return struct.pack(">L", len(body)) + kind + body + crc


def png(depth: int, color: int, *extra: bytes, side: int = SIDE, interlaced: int = 0) -> bytes:
    """A PNG of this bit depth and color type with a few bytes of pixels."""
    head = struct.pack(">LLBBBBB", side, side, depth, color, 0, 0, interlaced)
    chunks = [_chunk(b"IHDR", head), *extra, _chunk(b"IDAT", zlib.compress(bytes(100)))]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks) + _chunk(b"IEND", b"")


PALETTE = _chunk(b"PLTE", bytes(3 * 2))
ANIMATED = _chunk(b"acTL", struct.pack(">LL", 100_000, 0))


def jpeg(mode: str, **options: object) -> bytes:
    """A JPEG whose frame header tells another size."""
    made = bytearray(_saved(Image.new(mode, (16, 16)), "JPEG", **options))
    start = next(
        at for at in range(2, len(made)) if made[at] == 0xFF and made[at + 1] in (192, 194)
    )
    made[start + 5 : start + 9] = struct.pack(">HH", SIDE, SIDE)
    return bytes(made)


def gif(frames: int = 1) -> bytes:
    """A GIF whose screen and frames are as large as they can be."""
    pictures = [Image.new("P", (4, 4), index) for index in range(frames)]
    made = bytearray(_saved(pictures[0], "GIF", save_all=True, append_images=pictures[1:]))
    made[6:10] = struct.pack("<HH", SIDE, SIDE)
    place = made.find(b"\x2c\x00\x00\x00\x00\x04\x00\x04\x00")
    made[place + 5 : place + 9] = struct.pack("<HH", SIDE, SIDE)
    return bytes(made)


def tiff(
    bits: tuple[int, ...] = (8,), kind: int = 1, *, tile: int = 0, is_big: bool = False,
    pages: int = 1, compression: int = 5, side: int = SIDE, strips: int = 1,
) -> bytes:  # fmt: skip
    """A TIFF of these bits for each channel; `kind` 3 is float; `tile` is a tile's side."""
    fields = [
        (256, 4, 1, side), (257, 4, 1, side), (258, 3, len(bits), bits[0]),
        (259, 3, 1, compression), (262, 3, 1, 2 if len(bits) == 3 else 1),
        (277, 3, 1, len(bits)), (339, 3, 1, kind),
    ]  # fmt: skip
    if tile:
        fields += [(322, 4, 1, tile), (323, 4, 1, tile), (324, 4, 1, 8), (325, 4, 1, 8)]
    else:
        fields += [(278, 4, 1, side), (273, 4, strips, 8), (279, 4, 1, 8)]
    head, field, link = ("<Q", "<HHQQ", "<Q") if is_big else ("<H", "<HHLL", "<L")
    start = 16 if is_big else 8
    length = struct.calcsize(head) + len(fields) * struct.calcsize(field) + struct.calcsize(link)
    if len(bits) == 3:  # they do not fit into the field
        fields[2] = (258, 3, 3, start + pages * length)
    body = b""
    for page in range(pages):
        packed = struct.pack(head, len(fields))
        packed += b"".join(struct.pack(field, *one) for one in sorted(fields))
        after = start + len(body) + len(packed) + struct.calcsize(link)
        body += packed + struct.pack(link, after if page + 1 < pages else 0)
    intro = (
        struct.pack("<2sHHHQ", b"II", 43, 8, 0, 16)
        if is_big
        else struct.pack("<2sHL", b"II", 42, 8)
    )
    return intro + body + struct.pack(f"<{len(bits)}H", *bits) + bytes(32)


def bmp(bits: int) -> bytes:
    """A BMP with this many bits for each pixel."""
    head = struct.pack("<LllHHLLLLLL", 40, SIDE, SIDE, 1, bits, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<LHHL", 54, 0, 0, 54) + head + bytes(64)


def webp(**options: object) -> bytes:
    """A WebP whose canvas is as large as it can be."""
    mode = str(options.pop("mode", "RGB"))
    made = bytearray(_saved(Image.new(mode, (16, 16), 5), "WEBP", **options))
    if made[12:16] == b"VP8X":
        made[24:30] = 2 * struct.pack("<L", WEBP_SIDE)[:3]
    elif made[12:16] == b"VP8L":
        made[21:25] = struct.pack("<L", WEBP_SIDE | WEBP_SIDE << 14)
    else:
        made[26:30] = struct.pack("<HH", WEBP_SIDE, WEBP_SIDE)
    return bytes(made)


def _saved(picture: Image.Image, form: str, **options: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, form, **options)
    return file.getvalue()


def _frames(mode: str) -> list[Image.Image]:
    return [Image.new(mode, (16, 16), index) for index in range(1, 4)]


BOMBS: dict[str, Callable[[], bytes]] = {
    "PNG 1 bit": lambda: png(1, 0),
    "PNG gray 8": lambda: png(8, 0),
    "PNG gray 16": lambda: png(16, 0),
    "PNG palette 1": lambda: png(1, 3, PALETTE),
    "PNG palette 8": lambda: png(8, 3, PALETTE),
    "PNG gray alpha 8": lambda: png(8, 4),
    "PNG gray alpha 16": lambda: png(16, 4),
    "PNG RGB 8": lambda: png(8, 2),
    "PNG RGB 16": lambda: png(16, 2),
    "PNG RGBA 8": lambda: png(8, 6),
    "PNG RGBA 16": lambda: png(16, 6),
    "PNG interlaced": lambda: png(8, 2, interlaced=1),
    "PNG gray 16, as found": lambda: png(16, 0, side=13_300),
    "PNG RGBA, many bytes": lambda: png(8, 6, side=6_000),
    "APNG": lambda: png(8, 6, ANIMATED),
    "APNG of many small frames": lambda: png(8, 6, ANIMATED, side=16),
    "JPEG gray": lambda: jpeg("L"),
    "JPEG RGB": lambda: jpeg("RGB"),
    "JPEG CMYK": lambda: jpeg("CMYK"),
    "JPEG progressive": lambda: jpeg("RGB", progressive=True),
    "GIF": gif,
    "GIF animated": lambda: gif(5),
    "TIFF 1 bit": lambda: tiff((1,)),
    "TIFF strips 8": lambda: tiff((8,)),
    "TIFF strips RGB": lambda: tiff((8, 8, 8)),
    "TIFF tiles": lambda: tiff((8,), tile=256),
    "TIFF of one huge tile": lambda: tiff((8,), tile=SIDE, side=16),
    "TIFF 16": lambda: tiff((16,)),
    "TIFF 32F": lambda: tiff((32,), 3),
    "TIFF deflated": lambda: tiff((8,), compression=8),
    "TIFF multi-page": lambda: tiff((8,), pages=3),
    "TIFF of many small pages": lambda: tiff((8,), pages=1100, side=16),
    "TIFF of many strips": lambda: tiff((8,), side=16, strips=100_000_000),
    "BigTIFF": lambda: tiff((8,), is_big=True),
    "BMP 1 bit": lambda: bmp(1),
    "BMP 24": lambda: bmp(24),
    "BMP 32": lambda: bmp(32),
    "WebP lossy": lambda: webp(),
    "WebP lossless": lambda: webp(lossless=True),
    "WebP alpha": lambda: webp(mode="RGBA"),
    "WebP animated": lambda: webp(save_all=True, append_images=_frames("RGB")),
    "PBM": lambda: b"P4 %d %d\n" % (SIDE, SIDE) + bytes(64),
    "PGM 8": lambda: b"P5 %d %d 255\n" % (SIDE, SIDE) + bytes(64),
    "PGM 16": lambda: b"P5 %d %d 65535\n" % (SIDE, SIDE) + bytes(64),
    "PPM": lambda: b"P6 %d %d 255\n" % (SIDE, SIDE) + bytes(64),
    "PFM": lambda: b"Pf %d %d -1\n" % (SIDE, SIDE) + bytes(64),
}  # fmt: skip

# Headers of very many parts, which take time and not memory.
LONG_HEADERS: dict[str, Callable[[], bytes]] = {
    "GIF comment": lambda: b"GIF89a\1\0\1\0\0\0\0!\xfe" + b"\1x" * 1_000_000,
    "PNG chunks": lambda: png(8, 0, _chunk(b"tEXt", b"a\0b") * 200_000, side=1),
    "JPEG markers": lambda: b"\xff\xd8" + b"\xff\xfe\0\3x" * 500_000,
}  # fmt: skip

FOREIGN: dict[str, bytes] = {
    "PostScript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\nshowpage\n",
    "PDF": b"%PDF-1.7\n",
    "Photoshop": b"8BPS\0\1" + bytes(64),
    "ICO": b"\0\0\1\0\1\0" + bytes(64),
    "AVIF": b"\0\0\0\x1cftypavif" + bytes(64),
    "JPEG 2000": b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(64),
    "FITS": b"SIMPLE  =                    T" + bytes(64),
    "SVG": b"\n <svg xmlns='http://www.w3.org/2000/svg'/>",
}


def _noise(mode: str, side: int) -> Image.Image:
    """Something that is not one color, quick to make at any size."""
    patch = Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 4), np.uint8))
    if mode == "I;16":
        return Image.fromarray(
            np.arange(side * side, dtype=np.uint32).astype(np.uint16).reshape(side, side)
        )
    if mode in ("I", "F"):
        return patch.convert("L").convert(mode).resize((side, side))
    return patch.convert("RGBA").resize((side, side)).convert(mode)


LARGE: dict[str, Callable[[int], bytes]] = {
    "PNG gray": lambda n: _saved(_noise("L", n), "PNG", compress_level=1),
    "PNG 16": lambda n: _saved(_noise("I;16", n), "PNG", compress_level=1),
    "PNG RGB": lambda n: _saved(_noise("RGB", n), "PNG", compress_level=1),
    "PNG RGBA": lambda n: _saved(_noise("RGBA", n), "PNG", compress_level=1),
    "PNG LA": lambda n: _saved(_noise("LA", n), "PNG", compress_level=1),
    "PNG palette": lambda n: _saved(_noise("P", n), "PNG", compress_level=1),
    "JPEG": lambda n: _saved(_noise("RGB", n), "JPEG"),
    "JPEG progressive": lambda n: _saved(_noise("RGB", n), "JPEG", progressive=True),
    "JPEG CMYK": lambda n: _saved(_noise("CMYK", n), "JPEG"),
    "GIF": lambda n: _saved(_noise("P", n), "GIF"),
    "TIFF": lambda n: _saved(_noise("RGB", n), "TIFF"),
    "TIFF LZW": lambda n: _saved(_noise("RGB", n), "TIFF", compression="tiff_lzw"),
    "TIFF 32F": lambda n: _saved(_noise("F", n), "TIFF"),
    "TIFF I": lambda n: _saved(_noise("I", n), "TIFF"),
    "BMP": lambda n: _saved(_noise("RGB", n), "BMP"),
    "WebP": lambda n: _saved(_noise("RGB", n), "WEBP", method=0),
    "WebP RGBA": lambda n: _saved(_noise("RGBA", n), "WEBP", method=0),
    "PPM": lambda n: _saved(_noise("RGB", n), "PPM"),
}  # fmt: skip
