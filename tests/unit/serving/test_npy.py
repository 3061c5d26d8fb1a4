import io

import numpy as np
import pytest

from workbench.core.errors import InputError
from workbench.serving.npy import read_npy


def npy(array, **options):
    buffer = io.BytesIO()
    np.save(buffer, array, **options)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype=np.float32).reshape(2, 3),
        np.asfortranarray(np.arange(6).reshape(2, 3)),
        np.array(3.5),
        np.zeros((0, 4), np.uint8),
        np.array([True, False]),
        np.array(["数字", "b"]),
        np.arange(4, dtype=">i2"),
    ],
)
def test_what_numpy_saves_is_read(array):
    found = read_npy(npy(array))
    np.testing.assert_array_equal(found, array)
    assert found.dtype == array.dtype


def test_later_versions_of_the_format_are_read():
    for version in ((2, 0), (3, 0)):
        buffer = io.BytesIO()
        np.lib.format.write_array(buffer, np.ones(3), version=version)
        np.testing.assert_array_equal(read_npy(buffer.getvalue()), np.ones(3))


GOOD = npy(np.ones((2, 2), np.float32))


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "begin"),
        (GOOD[:5], "begin"),
        (GOOD[:40], "cut off"),
        (GOOD[:-1], "16 bytes and 15 came"),
        (GOOD + b"x", "17 came"),
        (GOOD.replace(b"(2, 2)", b"(9999999999, 9999999999)"[:6]), "cannot be read"),
        (GOOD.replace(b"'<f4'", b"'|O8'"), "plain"),
        (GOOD.replace(b"'<f4'", b"'<f3'"), "no '<f3'"),
        (GOOD.replace(b"(2, 2)", b"(2,-2)"), "shape"),
        (GOOD.replace(b"'shape'", b"'shapf'"), "keys"),
        (GOOD.replace(b"False", b"1 +  "), "cannot be read"),
        (npy(np.array([None]), allow_pickle=True), "plain"),
        (b"PK\x03\x04", "npz"),
    ],
)
def test_anything_else_is_refused_in_words(data, told):
    with pytest.raises(InputError, match=told):
        read_npy(data)
