from __future__ import annotations

import numpy as np
import pytest

from workbench.core.errors import InputError
from workbench.tasks._infer import infer_task
from workbench.tasks._labels import as_classes, sorted_names
from workbench.tasks.regression import as_values


def place(index):
    return f"row {index}"


def test_indices_into_labels():
    targets, labels, problems = as_classes([1, 0, 2.0], ["c", "b", "a"], place)
    assert targets.tolist() == [1, 0, 2]
    assert labels == ("c", "b", "a")
    assert not problems


def test_names_of_labels():
    targets, _, problems = as_classes(["b", "a", "x"], ["a", "b"], place)
    assert targets.tolist()[:2] == [1, 0]
    assert problems == ["row 2: target x is none of the 2 labels a, b"]


def test_numbers_without_labels_are_named_in_order():
    _, labels, _ = as_classes([10, 9, 9.0, 10], None, place)
    assert labels == ("9", "10")
    assert sorted_names({"10", "9", "x"}) == ("10", "9", "x")


def test_labels_that_appear_twice():
    with pytest.raises(InputError, match="twice: a"):
        as_classes([0], ["a", "a"], place)


def test_half_a_class_is_no_class():
    assert as_classes([0, 0.5], ["a", "b"], place)[2] == [
        "row 1: target 0.5 is none of 0…1 (indices into 2 labels)"
    ]


def test_values_and_what_is_none():
    values, problems = as_values([1, "2.5", None, "x", float("inf")], place)
    assert values.tolist() == [1, 2.5, 0, 0, 0]
    assert [problem[:5] for problem in problems] == ["row 2", "row 3", "row 4"]


@pytest.mark.parametrize(
    ("values", "task"),
    [
        (["a"], "classification"),
        ([0, 1, None, float("nan")] * 5, "classification"),
        (np.arange(100).tolist(), "regression"),
        ([0.5, 1.5] * 9, "regression"),
        ([1, 2, 3], "regression"),
    ],
)
def test_tasks(values, task):
    assert infer_task(values) == task
