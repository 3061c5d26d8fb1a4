from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from workbench.core.errors import InputError
from workbench.data.modalities import MODALITIES

IMAGE = MODALITIES.get("image")


def config(**options):
    return MODALITIES.parse("image", {"size": (8, 6), "channels": 3, "layout": "hwc", **options})


@pytest.fixture
def picture():
    pixels = np.random.default_rng(0).integers(0, 255, (8, 6, 3), np.uint8)
    return Image.fromarray(pixels)


def encoded(picture, **options):
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", **options)
    return buffer.getvalue()


def test_all_ways_to_give_a_picture_are_the_same(picture, tmp_path):
    path = tmp_path / "图 片.png"
    path.write_bytes(encoded(picture))
    given = [
        picture, path, str(path), path.read_bytes(),
        np.asarray(picture), np.asarray(picture).tolist(),
        np.moveaxis(np.asarray(picture), -1, 0),
    ]  # fmt: skip
    decoded = [IMAGE.decode(value, config()) for value in given]
    assert decoded[0].shape == (3, 8, 6)
    assert decoded[0].dtype == np.float32
    for other in decoded[1:]:
        assert np.array_equal(decoded[0], other)
    assert np.array_equal(IMAGE.decode_batch(given, config()), np.stack(decoded))
    with path.open("rb") as file:
        assert np.array_equal(IMAGE.decode(file, config()), decoded[0])


def test_pictures_of_another_size_or_color_are_made_to_fit(picture):
    large = picture.resize((60, 80))
    assert IMAGE.decode(large, config()).shape == (3, 8, 6)
    assert np.array_equal(IMAGE.decode(np.asarray(large), config()), IMAGE.decode(large, config()))
    gray = config(channels=1, layout="hw")
    assert IMAGE.decode(picture, gray).shape == (1, 8, 6)
    assert IMAGE.decode(picture.convert("L"), config()).shape == (3, 8, 6)


def test_transparency_is_white_and_sixteen_bits_become_eight():
    clear = Image.new("RGBA", (6, 8), (0, 0, 0, 0))
    assert (IMAGE.decode(clear, config()) == 255).all()
    deep = Image.fromarray(np.full((8, 6), 65535, np.uint16))
    assert (IMAGE.decode(deep, config(channels=1, layout="hw")) == 255).all()


def test_photos_are_turned_upright(picture):
    exif = Image.Exif()
    exif[0x0112] = 6
    lying = picture.transpose(Image.Transpose.ROTATE_90)
    decoded = IMAGE.decode(encoded(lying, exif=exif), config())
    assert np.array_equal(decoded, IMAGE.decode(picture, config()))


def test_pictures_are_scaled_to_the_range_of_the_data_but_arrays_are_not():
    digits = config(channels=1, layout="hw", dtype="float32", low=0, high=16)
    white = Image.new("L", (6, 8), 255)
    assert (IMAGE.decode(white, digits) == 16).all()
    assert (IMAGE.decode(np.full((8, 6), 16.0), digits) == 16).all()


@pytest.mark.parametrize(
    ("layout", "channels", "shape", "count"),
    [
        ("hw", 1, (8, 6), 1),
        ("hw", 1, (5, 8, 6), 5),
        ("hw", 1, (8, 6, 1), 1),
        ("hw", 1, (5, 8, 6, 1), 5),
        ("hw", 1, (5, 1, 8, 6), 5),
        ("hw", 1, (80, 60, 3), 1),
        ("hwc", 3, (8, 6, 3), 1),
        ("hwc", 3, (5, 8, 6, 3), 5),
        ("chw", 3, (3, 8, 6), 1),
        ("chw", 3, (5, 3, 8, 6), 5),
    ],
)
def test_arrays_are_told_apart_by_rank(layout, channels, shape, count):
    options = config(layout=layout, channels=channels)
    samples = IMAGE.split_batch(np.zeros(shape, np.uint8), options)
    assert len(samples) == count
    assert IMAGE.decode_batch(samples, options).shape == (count, channels, 8, 6)


def test_a_list_is_a_batch_and_anything_else_is_one(picture):
    assert len(IMAGE.split_batch([picture, encoded(picture)], config())) == 2
    assert len(IMAGE.split_batch("a.png", config())) == 1
    assert len(IMAGE.split_batch(picture, config())) == 1


def test_json(picture):
    text = base64.b64encode(encoded(picture)).decode()
    for value in (text, {"b64": text}, f"data:image/png;base64,{text}"):
        (sample,) = IMAGE.split_batch(IMAGE.from_json(value, config()), config())
        assert np.array_equal(IMAGE.decode(sample, config()), IMAGE.decode(picture, config()))
    assert len(IMAGE.from_json([text, text], config())) == 2
    nested = np.asarray(picture).tolist()
    assert len(IMAGE.split_batch(IMAGE.from_json(nested, config()), config())) == 1
    assert len(IMAGE.split_batch(IMAGE.from_json([nested] * 4, config()), config())) == 4


@pytest.mark.parametrize("value", ["/etc/hostname", {"path": "x"}, 3, None, [[1, 2], [3]]])
def test_json_that_is_no_picture_and_never_a_local_file(value):
    with pytest.raises(InputError):
        IMAGE.from_json(value, config())


def test_all_bad_items_of_a_json_list_are_told(picture):
    text = base64.b64encode(encoded(picture)).decode()
    with pytest.raises(InputError, match="2 of 3 pictures") as caught:
        IMAGE.from_json([text, "no base64!", {"path": "x"}], config())
    assert [problem[:8] for problem in caught.value.problems] == ["input 1:", "input 2:"]


@pytest.mark.parametrize(
    "value",
    [
        b"no picture", "absent.png", None, 3, object(),
        np.zeros((5, 5)), np.zeros((8, 6, 3)) + np.nan, np.array(["a"]), [[1, 2], [3]],
    ],
)  # fmt: skip
def test_what_cannot_be_decoded(value):
    with pytest.raises(InputError):
        IMAGE.decode(value, config())


def test_all_bad_inputs_of_a_batch_are_told(picture):
    with pytest.raises(InputError) as caught:
        IMAGE.decode_batch([picture, b"x", np.zeros((2, 2))], config())
    assert [problem[:8] for problem in caught.value.problems] == ["input 1:", "input 2:"]
