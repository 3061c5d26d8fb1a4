"""What every metric must do, whichever file it is in, on the examples of the tasks it judges."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as reference

from workbench.core.errors import InputError
from workbench.tasks import METRICS, TASKS

COUNT = 40


def cases(key):
    """Outputs, perfect outputs and targets of each example that a metric judges."""
    rng = np.random.default_rng(0)
    for name in METRICS.get(key).tasks:
        task = TASKS.get(name)
        for example in task.examples(COUNT, rng):
            given = task.targets(example.values, example.labels, str, example.axes)
            if METRICS.get(key).supports(name, labeled=bool(given.labels)) is None:
                shape = task.output_shape(given.labels, given.values.shape[1:])
                perfect = _perfect(given.values, shape)
                spread = perfect.std(axis=0)
                yield perfect + spread * rng.normal(size=perfect.shape), perfect, given.values


def _perfect(targets, shape):
    if targets.dtype.kind == "f":
        return targets.reshape(-1, *shape).astype(float)
    if targets.shape[1:] == shape:
        return 2.0 * targets - 1
    return np.moveaxis(np.eye(shape[0])[targets], -1, 1)


def as_references(outputs, targets):
    """Answers and truth as scikit-learn wants them."""
    if targets.dtype.kind == "f":
        columns = (
            np.moveaxis(a.reshape(COUNT, -1, *a.shape[2:]), 1, -1) for a in (targets, outputs)
        )
        return tuple(a.reshape(-1, a.shape[-1]) for a in columns)
    if targets.shape == outputs.shape:
        return targets, (outputs > 0).astype(int)
    return targets.ravel(), outputs.argmax(axis=1).ravel()


REFERENCES = {
    "accuracy": reference.accuracy_score,
    "balanced_accuracy": reference.balanced_accuracy_score,
    "f1_macro": lambda y, p: reference.f1_score(y, p, average="macro"),
    "f1_micro": lambda y, p: reference.f1_score(y, p, average="micro"),
    "subset_accuracy": reference.accuracy_score,
    "mean_iou": lambda y, p: reference.jaccard_score(y, p, average="macro"),
    "place_accuracy": reference.accuracy_score,
    "r2": reference.r2_score,
    "rmse": reference.root_mean_squared_error,
    "mae": reference.mean_absolute_error,
}


@pytest.mark.parametrize("key", REFERENCES)
def test_it_agrees_with_scikit_learn(key):
    for outputs, _, targets in cases(key):
        wanted = REFERENCES[key](*as_references(outputs, targets))
        assert METRICS.get(key).compute(outputs, targets) == pytest.approx(wanted)


@pytest.mark.parametrize("key", METRICS.keys())
def test_perfect_answers_score_best(key):
    metric = METRICS.get(key)
    for outputs, perfect, targets in cases(key):
        best, usual = metric.compute(perfect, targets), metric.compute(outputs, targets)
        low, high = metric.bounds
        assert best == (high if metric.higher_is_better else low)
        assert best != usual
        assert (best > usual) == metric.higher_is_better


@pytest.mark.parametrize("key", METRICS.keys())
def test_hits_are_what_it_is_the_mean_of(key):
    metric = METRICS.get(key)
    for outputs, _, targets in cases(key):
        hits = metric.hits(outputs, targets)
        if hits is not None:
            assert hits.mean() == metric.compute(outputs, targets)


@pytest.mark.parametrize("key", METRICS.keys())
def test_nothing_to_judge_and_other_shapes_are_errors(key):
    for outputs, _, targets in cases(key):
        with pytest.raises(InputError):
            METRICS.get(key).compute(outputs[:0], targets[:0])
        with pytest.raises(InputError, match="shape"):
            METRICS.get(key).compute(np.zeros((2, 3, 2, 2, 2)), np.zeros((2, 2), int))


@pytest.mark.parametrize("key", METRICS.keys())
def test_it_says_which_task_it_judges(key):
    metric = METRICS.get(key)
    others = [task for task in TASKS if task not in metric.tasks]
    assert all(key in metric.supports(task, labeled=True) for task in others)
    if metric.labeled is not None:
        assert key in metric.supports(metric.tasks[0], labeled=not metric.labeled)


@pytest.mark.parametrize("key", ["accuracy", "r2", "rmse", "mae"])
def test_a_column_of_targets_is_the_same_as_a_row(key):
    outputs, _, targets = next(cases(key))
    column = METRICS.get(key).compute(outputs, targets[:, None])
    assert column == METRICS.get(key).compute(outputs, targets)
