"""One tensor and several by name go through the same functions."""

from __future__ import annotations

import numpy as np
import pytest

from workbench.core import batch
from workbench.core.errors import InputError

X = np.arange(12.0).reshape(6, 2)
PAIR = {"x": X, "codes": np.arange(6)}


def test_one_tensor_stays_one():
    assert batch.count(X) == 6
    assert np.array_equal(batch.rows(X, slice(2, 4)), X[2:4])
    assert np.array_equal(batch.joined([X[:2], X[2:]]), X)
    assert batch.tensors(X) == (X,)
    assert list(batch.named(X, ["input"])) == ["input"]


def test_several_keep_their_names_and_rows():
    assert batch.count(PAIR) == 6
    picked = batch.rows(PAIR, np.array([5, 0]))
    assert picked["codes"].tolist() == [5, 0]
    assert np.array_equal(picked["x"], X[[5, 0]])
    again = batch.joined([batch.rows(PAIR, slice(0, 1)), batch.rows(PAIR, slice(1, 6))])
    assert all(np.array_equal(again[name], PAIR[name]) for name in PAIR)
    assert list(batch.named(PAIR, ["codes", "x"])) == ["codes", "x"]


def test_other_names_are_told():
    with pytest.raises(InputError, match=r"Got 'x', 'codes'; the tensors 'x', 'mask' are needed"):
        batch.named(PAIR, ["x", "mask"])
    with pytest.raises(InputError, match="are needed"):
        batch.named(X, ["a", "b"])
