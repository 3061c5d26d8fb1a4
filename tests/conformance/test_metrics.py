"""What every metric must do, whichever file it is in; formulas are checked against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as reference
from sklearn.datasets import load_diabetes, load_wine
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.preprocessing import StandardScaler

from workbench.core.errors import InputError
from workbench.evaluation import METRICS

REFERENCES = {
    "accuracy": reference.accuracy_score,
    "balanced_accuracy": reference.balanced_accuracy_score,
    "f1_macro": lambda y, p: reference.f1_score(y, p, average="macro"),
    "r2": reference.r2_score,
    "rmse": reference.root_mean_squared_error,
    "mae": reference.mean_absolute_error,
}


@pytest.fixture(scope="module")
def answers():
    """Outputs and targets by task: of a weak classifier on wine, and of a line on diabetes."""
    x, y = load_wine(return_X_y=True)
    x = StandardScaler().fit_transform(x)[:, :2]
    classifier = LogisticRegression().fit(x, y)
    outputs = {"classification": (classifier.predict_proba(x), y)}
    x, y = load_diabetes(return_X_y=True)
    outputs["regression"] = (LinearRegression().fit(x, y).predict(x), y)
    return outputs


@pytest.mark.parametrize("key", METRICS.keys())
def test_it_agrees_with_scikit_learn(key, answers):
    metric = METRICS.get(key)
    outputs, targets = answers[metric.task]
    predictions = outputs.argmax(1) if metric.task == "classification" else outputs
    wanted = REFERENCES[key](targets, predictions)
    assert metric.compute(outputs, targets) == pytest.approx(wanted)


@pytest.mark.parametrize("key", METRICS.keys())
def test_perfect_answers_score_best(key, answers):
    metric = METRICS.get(key)
    outputs, targets = answers[metric.task]
    perfect = np.eye(3)[targets] if metric.task == "classification" else targets.astype(float)
    best, usual = metric.compute(perfect, targets), metric.compute(outputs, targets)
    assert best == (1.0 if metric.higher_is_better else 0.0)
    assert (best > usual) == metric.higher_is_better


@pytest.mark.parametrize("key", METRICS.keys())
def test_a_column_of_targets_is_the_same_as_a_row(key, answers):
    metric = METRICS.get(key)
    outputs, targets = answers[metric.task]
    column = metric.compute(outputs, targets[:, None])
    assert column == metric.compute(outputs, targets)
    if metric.task == "regression":
        assert metric.compute(outputs[:, None], targets) == column


@pytest.mark.parametrize("key", METRICS.keys())
def test_nothing_to_judge_is_an_error(key):
    with pytest.raises(InputError):
        METRICS.get(key).compute(np.zeros((0, 3)), np.zeros(0))
    with pytest.raises(InputError, match=r"shape \(2, 2\)|shape \(2, 2, 2\)"):
        METRICS.get(key).compute(np.zeros((2, 2, 2)), np.zeros((2, 2)))


@pytest.mark.parametrize("key", METRICS.keys())
def test_it_says_which_task_it_judges(key):
    metric = METRICS.get(key)
    other = "regression" if metric.task == "classification" else "classification"
    assert metric.supports(metric.task) is None
    assert key in metric.supports(other)
