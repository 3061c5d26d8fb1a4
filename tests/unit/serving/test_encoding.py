"""What is written beside the event loop: answers with many values, whatever their rows."""

from __future__ import annotations

import numpy as np
import pytest

from workbench.core.signature import Signature, TensorSpec
from workbench.serving.encoding import inline_rows, is_large

X = TensorSpec("x", "float32", ("n", 2))


@pytest.mark.parametrize(
    ("outputs", "rows"),
    [
        ([("n", 10)], 5000),
        ([("n",)], 50_000),
        ([("n", 3, 100), ("n", 100)], 125),
        ([("n", 0)], 50_000),
        ([("n", 10), ("found", 4)], 0),
        ([("n", "time")], 0),
        ([(1, 10)], 0),
    ],
)
def test_up_to_how_many_rows_an_answer_is_small(outputs, rows):
    made = Signature((X,), tuple(TensorSpec("y", "float32", shape) for shape in outputs))
    assert inline_rows(made) == rows
    if rows:
        largest = [np.zeros((rows, *shape[1:])) for shape in outputs]
        assert not is_large(dict(enumerate(largest)))
