"""Free dimensions have names, and one size in all tensors of a batch."""

from __future__ import annotations

import numpy as np
import pytest

from workbench.core.errors import InputError
from workbench.core.signature import TensorSpec, free_dimensions, free_sizes, is_plain, misfits

X = TensorSpec("x", "float32", ("batch", "time", 3))
MASK = TensorSpec("mask", "bool", ("batch", "time"))


def zeros(time=5, mask=5, rows=2):
    return {"x": np.zeros((rows, time, 3), np.float32), "mask": np.ones((2, mask), bool)}


def test_a_spec_tells_its_free_dimensions():
    assert X.sample_shape == ("time", 3)
    assert X.free == {1: "time"}
    assert X.words == "float32 [time, 3]"
    assert free_dimensions([X, MASK]) == ["time"]
    assert not is_plain([X])
    assert is_plain([TensorSpec("input", "float32", ("batch", 3))])


def test_sizes_are_read_from_a_batch():
    assert free_sizes(zeros(), [X, MASK]) == {"batch": 2, "time": 5}
    assert misfits(zeros(), [X, MASK]) == []


def test_a_dimension_of_two_sizes_is_told_with_both():
    with pytest.raises(InputError, match=r"Got 'time' = 17 in 'x' and 18 in 'mask'; a dimension"):
        free_sizes(zeros(17, 18), [X, MASK])
    (problem,) = misfits(zeros(rows=3), [X, MASK])
    assert "'batch' = 3 in 'x' and 2 in 'mask'" in problem


def test_every_tensor_that_does_not_fit_is_told():
    wrong = {"x": np.zeros((2, 5, 4), np.float32), "mask": np.zeros((2, 5))}
    first, second = misfits(wrong, [X, MASK])
    assert first == "'x' is float32 [2, 5, 4], right is float32 ['batch', 'time', 3]"
    assert "'mask' is float64" in second
    assert misfits({"x": wrong["x"]}, [X, MASK]) == ["tensors 'x', right are 'x', 'mask'"]
