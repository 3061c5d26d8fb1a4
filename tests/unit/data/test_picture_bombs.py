"""Small files that claim to be huge are refused from their headers, in words and in no memory."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from tests.unit.data.bombs import BOMBS, FOREIGN, LARGE, LONG_HEADERS
from workbench.core.errors import InputError
from workbench.data.modalities import MODALITIES
from workbench.data.picture_file import FORMATS, IN_REQUEST, ON_DISK, PictureLimits, open_picture

IMAGE = MODALITIES.get("image")
CONFIG = MODALITIES.parse("image", {"size": (16, 16), "channels": 3, "layout": "hwc"})
# Refused at the endpoint; on one's own disk they are decoded, or are damaged.
SMALLER = {
    "PNG gray 16, as found", "PNG RGBA, many bytes", "APNG of many small frames",
    "TIFF of many small pages",
}  # fmt: skip

_MEASURE = """
import json, resource, sys
from tests.unit.data import bombs
from tests.unit.data.test_picture_bombs import CONFIG, IMAGE
from workbench.core.errors import InputError
from workbench.data.picture_file import IN_REQUEST
def peak():
    for line in open("/proc/self/status"):
        if line.startswith("VmHWM"):
            return 1024 * int(line.split()[1])
def refusal(work):
    open("/proc/self/clear_refs", "w").write("5")
    before = peak()
    try:
        work()
        words = ""
    except InputError as error:
        words = error.message
    return words, peak() - before
"""
_BOMBS = (
    _MEASURE
    + """
IMAGE.decode(bombs.LARGE["PNG RGB"](64), CONFIG)
found = {}
for name, make in bombs.BOMBS.items():
    data = make()
    found[name] = [len(data), *refusal(lambda: IMAGE.weigh(data, CONFIG, IN_REQUEST)),
                   *refusal(lambda: IMAGE.decode(data, CONFIG))]
print(json.dumps(found))
"""
)
_LARGE = (
    _MEASURE
    + """
side, name = int(sys.argv[1]), sys.argv[2]
data = bombs.LARGE[name](side)
IMAGE.decode(bombs.LARGE[name](64), CONFIG)
weight = IMAGE.weigh(data, CONFIG, IN_REQUEST)
words, taken = refusal(lambda: IMAGE.decode(data, CONFIG))
print(json.dumps([words, weight, taken - len(data)]))
"""
)
_FOUND = (
    _MEASURE
    + """
import zlib
from tests.unit.data.bombs import _chunk
import struct
side = 13_300
head = struct.pack(">LLBBBBB", side, side, 16, 0, 0, 0, 0)
data = b"\\x89PNG\\r\\n\\x1a\\n" + _chunk(b"IHDR", head)
data += _chunk(b"IDAT", zlib.compress(bytes(side * (1 + 2 * side)))) + _chunk(b"IEND", b"")
print(json.dumps([len(data), *refusal(lambda: IMAGE.weigh(data, CONFIG, IN_REQUEST)),
                  *refusal(lambda: IMAGE.decode(data, CONFIG))]))
"""
)


def in_a_child(code: str, *arguments: str):
    """What the code prints as JSON, in a process whose memory is nobody else's."""
    command = [sys.executable, "-W", "error", "-c", code, *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


def test_every_bomb_is_refused_in_words_and_in_no_memory():
    found = in_a_child(_BOMBS)
    assert set(found) == set(BOMBS)
    for name, (size, words, taken, on_disk, taken_on_disk) in found.items():
        assert size < 200_000, name
        assert words.startswith("not opened"), (name, words)
        assert taken < 20_000_000, (name, taken)
        if name not in SMALLER:
            assert on_disk, name
            assert taken_on_disk < 20_000_000, (name, taken_on_disk)


@pytest.mark.full
@pytest.mark.parametrize("name", sorted(LARGE))
def test_decoding_takes_no_more_memory_than_was_said(name):
    words, weight, taken = in_a_child(_LARGE, "2600", name)
    assert words == ""
    assert taken < 1.15 * weight + 15_000_000, (weight, taken)


@pytest.mark.full
def test_the_bomb_that_was_found():
    """344 kB, 177 million pixels of 16 bits: it took 6.9 GB."""
    size, words, taken, on_disk, taken_on_disk = in_a_child(_FOUND)
    assert size < 400_000
    assert words == "not opened: 13300 × 13300 are 176.9 million pixels; 50 million are the most"
    assert taken < 20_000_000
    assert on_disk == ""
    assert taken_on_disk < 800_000_000


@pytest.mark.parametrize("name", sorted(LONG_HEADERS))
def test_a_header_of_very_many_parts_is_not_read_to_its_end(name):
    with pytest.raises(InputError, match="too many parts"):
        open_picture(LONG_HEADERS[name]())


@pytest.mark.parametrize("name", sorted(FOREIGN))
def test_formats_that_are_not_opened_are_named(name):
    with pytest.raises(InputError, match="is not opened; PNG, JPEG") as caught:
        IMAGE.decode(FOREIGN[name], CONFIG)
    assert name in caught.value.message


def test_no_reader_of_another_format_is_even_loaded(tmp_path):
    """Without this, PostScript named .png starts Ghostscript."""
    path = tmp_path / "a.png"
    path.write_bytes(b"\n" + FOREIGN["PostScript"])
    code = (
        "import sys\nfrom workbench.core.errors import InputError\n"
        "from workbench.data.picture_file import open_picture\n"
        "for given in (sys.argv[1], b'no picture at all'):\n"
        "    try:\n        open_picture(given)\n"
        "    except InputError:\n        pass\n"
        "import PIL.Image, json\n"
        "print(json.dumps(sorted(PIL.Image.OPEN)))"
    )
    assert set(in_a_child(code, str(path))) <= {*FORMATS, "MPO", "DIB"}


@pytest.mark.parametrize("form", ["PNG gray", "JPEG", "GIF", "BMP", "WebP", "TIFF", "PPM"])
def test_every_known_format_is_decoded(form):
    assert IMAGE.decode(LARGE[form](20), CONFIG).shape == (3, 16, 16)


def test_large_jpegs_are_decoded_at_a_fraction_in_training_and_at_the_endpoint(tmp_path):
    data = LARGE["JPEG"](2400)
    path = tmp_path / "a.jpg"
    path.write_bytes(data)
    from_file, from_request = IMAGE.decode(path, CONFIG), IMAGE.decode(data, CONFIG)
    assert np.array_equal(from_file, from_request)
    assert IMAGE.weigh(data, CONFIG, IN_REQUEST) < 2_000_000
    exact = np.moveaxis(np.asarray(open_picture(data).convert("RGB").resize((16, 16), 2)), -1, 0)
    assert np.abs(from_file - exact).mean() < 3


def test_the_limits_are_told_with_what_was_got():
    with pytest.raises(InputError, match=r"20 × 20 are 0\.0004 million pixels; 0\.000399 million"):
        open_picture(LARGE["PNG gray"](20), PictureLimits(pixels=399))
    assert open_picture(LARGE["PNG gray"](20), PictureLimits(pixels=400)).size == (20, 20)
    with pytest.raises(InputError, match="decoding it takes 0 MB"):
        IMAGE.weigh(LARGE["PNG RGB"](20), CONFIG, PictureLimits(working_bytes=100))


def test_a_request_may_take_less_than_ones_own_disk():
    assert IN_REQUEST.pixels < ON_DISK.pixels
    assert IN_REQUEST.working_bytes < ON_DISK.working_bytes
