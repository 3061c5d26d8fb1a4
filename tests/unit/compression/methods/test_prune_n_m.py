from __future__ import annotations

import numpy as np
import pytest

from tests.unit.compression.trained import cnn_study
from workbench.compression import METHODS, parse
from workbench.core.errors import InputError


def pruned(value: np.ndarray, pattern: str = "2:4") -> np.ndarray:
    method = METHODS.get("prune_n_m")
    return method.change_weights({"a": value}, method.Config(pattern=pattern))["a"]


@pytest.mark.parametrize(("kept", "group"), [(2, 4), (1, 4), (4, 8), (1, 2)])
@pytest.mark.parametrize("shape", [(3, 8), (4, 10, 3, 3), (2, 1, 3, 3), (5, 7, 3)])
def test_each_group_of_inputs_keeps_its_largest(kept, group, shape):
    before = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    expected = before.copy()
    for place in np.ndindex(shape[0], *shape[2:]):
        row = expected[(place[0], slice(None), *place[1:])]
        for start in range(0, shape[1], group):
            part = row[start : start + group]
            for index in sorted(range(len(part)), key=lambda i: abs(part[i]))[: -kept or None]:
                part[index] = 0
    np.testing.assert_array_equal(pruned(before, f"{kept}:{group}"), expected)


def test_ties_keep_the_first():
    np.testing.assert_array_equal(pruned(np.ones((1, 4), np.float32)), [[1, 1, 0, 0]])


def test_the_file_stays_as_large_and_the_layer_that_is_too_narrow_is_named():
    study = cnn_study()
    variant = study.measure("prune_n_m")
    assert variant.recipe == "prune_n_m:2:4"
    assert variant.size_bytes == pytest.approx(study.baseline().size_bytes, abs=8)
    assert variant.stored_bytes < 0.8 * study.baseline().stored_bytes
    assert "zeros save no bytes in the file" in variant.reason
    first = study.build("baseline").layers[0].name
    assert any(first in note and "2:4 leaves" in note for note in variant.notes)


@pytest.mark.parametrize("pattern", ["4:4", "0:4", "2", "a:b", "2:128"])
def test_patterns_are_checked(pattern):
    with pytest.raises(InputError, match="2:4"):
        parse(f"prune_n_m:{pattern}")
