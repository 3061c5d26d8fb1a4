"""Small files that keep a decoder busy without pixels are refused before it sees them."""

from __future__ import annotations

import io
import struct

import pytest
from PIL import Image

from workbench.core.errors import InputError
from workbench.data.picture_file import IN_REQUEST, open_picture


def jpeg_of_scans(scans: int) -> bytes:
    """Returns a progressive JPEG with as many further, empty, scans."""
    file = io.BytesIO()
    Image.new("L", (64, 64)).save(file, "JPEG", progressive=True)
    data = file.getvalue()
    begin = data.rindex(b"\xff\xda")
    return data[:begin] + data[begin:-2] * scans + data[-2:]


def tiff_of_strips(strips: int, each: int) -> bytes:
    """Returns a TIFF whose strips all lie over the same bytes."""
    fields = [
        (256, 4, 1, 64), (257, 4, 1, strips), (258, 3, 1, 8), (259, 3, 1, 5), (262, 3, 1, 1),
        (277, 3, 1, 1), (278, 4, 1, 1),
    ]  # fmt: skip
    end = 8 + 2 + 12 * (len(fields) + 2) + 4
    fields += [(273, 4, strips, end), (279, 4, strips, end + 4 * strips)]
    body = b"".join(struct.pack("<HHLL", *field) for field in sorted(fields))
    places = struct.pack("<L", end) * strips
    counts = struct.pack("<L", each) * strips
    head = b"II*\0" + struct.pack("<L", 8) + struct.pack("<H", len(fields))
    return head + body + b"\0\0\0\0" + places + counts + b"\x80\0" * 100


HEAVY = {
    "scans": (jpeg_of_scans(2000), "scans of a JPEG; 100 are the most"),
    "comments": (b"P2 9 9 9\n" + b"#\n" * 100_000, "comments in a PPM; 1,000 are the most"),
    "text": (b"P2 2000 2000 9\n" + b"1 " * 3_000_000, "bytes of a PPM in text; 4,000,000 are"),
    "strips": (tiff_of_strips(1000, 3000), "its 1,000 strips or tiles are 3,000,000 bytes of"),
}


@pytest.mark.parametrize("name", HEAVY)
def test_work_without_pixels_is_refused_in_words(name):
    data, words = HEAVY[name]
    with pytest.raises(InputError, match="not opened") as refused:
        open_picture(data, IN_REQUEST)
    assert words in refused.value.message


@pytest.mark.parametrize(
    ("form", "options"),
    [
        ("JPEG", {"progressive": True}),
        ("JPEG", {}),
        ("PPM", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("TIFF", {"compression": "tiff_adobe_deflate"}),
        ("TIFF", {}),
    ],
)
def test_usual_files_are_opened(form, options):
    file = io.BytesIO()
    Image.effect_noise((300, 200), 50).save(file, form, **options)
    picture = open_picture(file.getvalue(), IN_REQUEST)
    picture.load()
    assert picture.size == (300, 200)
