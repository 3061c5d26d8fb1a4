import numpy as np
import pytest

from tests.unit.serving.models import description
from workbench.core.signature import Signature, TensorSpec
from workbench.serving.errors import ModelError
from workbench.serving.predictions import predictions_of, to_predictions

AB = description(labels=("a", "b"))


def test_logits_become_probabilities_without_overflow():
    (one,) = to_predictions(np.asarray([[1000.0, 1001.0]], np.float32), AB)
    assert one["label"] == "b"
    assert one["scores"]["b"] == pytest.approx(1 / (1 + np.exp(-1)))


def test_one_logit_for_two_labels_is_the_second_ones():
    low, high = to_predictions(np.asarray([[-2.0], [2.0]], np.float32), AB)
    assert (low["label"], high["label"]) == ("a", "b")
    assert high["scores"]["b"] == pytest.approx(1 / (1 + np.exp(-2)))


def test_a_regression_gives_values():
    told = description(task="regression", output="value", labels=())
    assert to_predictions(np.asarray([[1.5], [2.5]], np.float32), told) == [
        {"value": 1.5},
        {"value": 2.5},
    ]


def test_a_bare_file_gives_its_numbers_or_its_own_labels():
    assert to_predictions(np.asarray([[1, 2]]), None) == [{"scores": {"0": 1, "1": 2}}]
    assert to_predictions(np.asarray([1.5, 2.5]), None) == [{"value": 1.5}, {"value": 2.5}]
    assert to_predictions(np.asarray(["x", "y"], object), None) == [{"label": "x"}, {"label": "y"}]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_that_are_none_are_an_error_of_the_model(value):
    with pytest.raises(ModelError, match="not finite"):
        to_predictions(np.asarray([[value, 1.0]]), AB)


def test_labels_that_do_not_fit_are_an_error_of_the_model():
    with pytest.raises(ModelError, match="3 scores for 2 labels"):
        to_predictions(np.zeros((1, 3)), AB)


def test_a_file_that_says_nothing_of_itself_loses_none_of_its_answers():
    taken = (TensorSpec("x", "float32", ("n", 3)),)
    found = Signature(taken, (TensorSpec("where", "int64", (2, "found")),))
    assert predictions_of({"where": np.array([[0, 1, 2], [3, 4, 5]])}, found, None) == [
        {"value": [[0, 1, 2], [3, 4, 5]]}
    ]
    texts = Signature(taken, (TensorSpec("words", "str", ("n", 2)),))
    assert predictions_of({"words": np.array([["a", "b"]], object)}, texts, None) == [
        {"value": ["a", "b"]}
    ]
    assert predictions_of({"words": np.array([["a"]], object)}, texts, None) == [{"label": "a"}]
