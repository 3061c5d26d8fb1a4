"""What every task must do, whichever file it is in; the examples are its own."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch

from workbench.core.records import Description
from workbench.core.signature import Signature
from workbench.engine.tensors import target_tensor
from workbench.tasks import METRICS, TASKS, LossOptions, infer_task

COUNT = 24
CASES = [
    (key, number)
    for key in TASKS
    for number in range(len(TASKS.get(key).examples(COUNT, np.random.default_rng(0))))
]
every_case = pytest.mark.parametrize(("key", "number"), CASES)


def place(index):
    return f"row {index}"


class Case:
    """A task with one of its examples: stored targets, and outputs of the right shape."""

    def __init__(self, key, number):
        self.task = TASKS.get(key)
        self.example = self.task.examples(COUNT, np.random.default_rng(0))[number]
        given = self.task.targets(
            self.example.values, self.example.labels, place, self.example.axes
        )
        assert not given.problems
        self.targets, self.labels = given.values, given.labels
        self.shape = self.task.output_shape(self.labels, self.targets.shape[1:])
        rng = np.random.default_rng(1)
        self.outputs = rng.normal(size=(COUNT, *self.shape)).astype(np.float32)
        kind = self.task.output_kind(None, self.labels)
        self.about = Description(key, kind, self.labels, Signature((), ()))

    @property
    def metrics(self):
        return self.task.metrics(labeled=bool(self.labels))

    def loss(self, outputs, **options):
        made = self.task.loss(LossOptions(**options))
        return made(outputs, target_tensor(self.targets, self.task.key, torch.device("cpu")))


@every_case
def test_targets_are_stored_one_a_sample_and_split_evenly(key, number):
    case = Case(key, number)
    assert len(case.targets) == COUNT
    strata = case.task.strata(case.targets)
    assert strata.shape == (COUNT,)
    assert len(np.unique(strata)) > 1
    counts = case.task.counts(case.targets, case.labels)
    assert len(counts) == len(case.labels)
    for label, count in enumerate(counts):
        if count:
            first = case.task.first_with(case.targets, label)
            assert (np.atleast_1d(case.targets[first]) == label).any() or (
                case.targets[first][label] == 1
            )


@every_case
def test_the_task_is_found_by_its_targets(key, number):
    example = Case(key, number).example
    values = example.values
    if example.axes == 1:
        return  # a matrix of values may also be several values of a regression
    assert infer_task(values, is_labeled=example.labels is not None) == key


@every_case
def test_the_shape_of_a_networks_answer_is_checked(key, number):
    case = Case(key, number)
    case.task.check(case.outputs, case.labels)
    for wrong in ((*case.shape, 2, 2, 2) if case.task.form == "vector" else (), (0,) * 0):
        assert case.task.reason(tuple(wrong), case.labels) is not None or not case.labels
    if case.labels:
        assert case.task.reason((len(case.labels) - 1, *case.shape[1:]), case.labels)


@every_case
def test_its_metrics_judge_it_and_stay_in_their_bounds(key, number):
    case = Case(key, number)
    for name in case.metrics:
        metric = METRICS.get(name)
        assert metric.supports(key, labeled=bool(case.labels)) is None
        value = metric.compute(case.outputs, case.targets)
        low, high = metric.bounds
        assert low <= value <= high
        chance = metric.chance(case.targets)
        assert chance is None or low <= chance <= high
        assert metric.unit(case.targets) > 0


@every_case
def test_descending_its_loss_raises_its_first_metric(key, number):
    case = Case(key, number)
    metric = METRICS.get(case.metrics[0])
    scale = case.task.scale(case.targets)
    mean, std = (0.0, 1.0) if scale is None else (torch.as_tensor(np.array(s)) for s in scale)
    free = torch.zeros(COUNT, *case.shape, requires_grad=True)
    optimizer = torch.optim.Adam([free], lr=0.2)
    for _ in range(80):
        loss = case.loss(free * std + mean, target_std=std)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    fitted = (free * std + mean).detach().float().numpy()
    best = metric.bounds[1] if metric.higher_is_better else metric.bounds[0]
    assert metric.compute(fitted, case.targets) == pytest.approx(best, abs=0.02)
    figures, ideal, of = case.task.figures(fitted, case.targets)
    assert of in ("value", "error", "share")
    assert figures.shape == ideal.shape == (COUNT,)
    assert np.abs(figures - ideal).mean() < 0.1 * max(1.0, float(np.abs(ideal).mean()))


@every_case
def test_a_student_that_answers_like_its_teacher_has_nothing_to_learn(key, number):
    case = Case(key, number)
    scale = case.task.scale(case.targets)
    std = 1.0 if scale is None else torch.as_tensor(np.array(scale[1]))
    distance = case.task.teaching(2.0, std)
    taught = torch.from_numpy(case.outputs)
    assert float(distance(taught, taught)) == pytest.approx(0, abs=1e-5)
    assert float(distance(taught + torch.randn_like(taught), taught)) > 0


@every_case
def test_answers_are_json_and_fit_their_schema(key, number):
    case = Case(key, number)
    answers = case.task.answers(case.outputs, case.about)
    assert len(json.loads(json.dumps(answers))) == COUNT
    assert set(answers[0]) == set(case.task.answer_schema(case.labels))


@every_case
def test_probes_and_whitened_changes_measure_the_same_thing(key, number):
    """E (v·Δ)² over random probes is the square of the whitened change, for small changes."""
    case, temperature = Case(key, number), 2.0
    rng = np.random.default_rng(3)
    change = (1e-3 * rng.normal(size=case.outputs.shape)).astype(np.float64)
    before = case.outputs.astype(np.float64)
    kind = case.about.output
    whole = case.task.whitened(before, before + change, kind, temperature)
    assert len(whole) == COUNT
    wanted = np.square(whole).reshape(COUNT, -1).sum()
    found = []
    for _ in range(400):
        probe = case.task.probes(before, kind, temperature, rng)
        assert probe.shape == before.shape
        products = (probe * change).reshape(COUNT, -1).sum(axis=1)
        found.append(np.square(products).sum())
    assert np.mean(found) == pytest.approx(wanted, rel=0.15)


def test_every_task_has_a_metric_and_every_metric_a_task():
    judged = {task for name in METRICS for task in METRICS.get(name).tasks}
    assert judged == set(TASKS)
    for name in METRICS:
        low, high = METRICS.get(name).bounds
        assert METRICS.get(name).is_share == (math.isfinite(low) and math.isfinite(high))
