"""Scores of a model on one split, whatever runs the model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from workbench.core.errors import InputError, UnsupportedError
from workbench.core.optional import require
from workbench.engine.batch_size import affordable_batch
from workbench.tasks import METRICS, TASKS, primary_metric

if TYPE_CHECKING:
    from torch import nn

    from workbench.data import Dataset, Split

SplitName = Literal["train", "val", "test"]
Predict = Callable[[Any], NDArray[np.floating]]
_BATCH = 256


@dataclass(frozen=True)
class Evaluation:
    """How a model did on one split.

    Attributes:
        split: Which one.
        samples: How many samples it has.
        metrics: Value by metric; the primary one comes first.
        labels: Names of what is told apart; empty where values are predicted.
        confusion: Counts, rows are the true class, columns the answer; empty without classes.
    """

    split: str
    samples: int
    metrics: Mapping[str, float]
    labels: tuple[str, ...] = ()
    confusion: tuple[tuple[int, ...], ...] = ()

    @property
    def recall(self) -> dict[str, float]:
        """Share of each class that was found, by label."""
        if not self.confusion:
            return {}
        counts = np.array(self.confusion)
        found = np.diag(counts) / np.maximum(counts.sum(1), 1)
        return dict(zip(self.labels, found.tolist(), strict=True))

    def to_json(self) -> dict[str, Any]:
        """Returns the evaluation as JSON-able values."""
        return {
            "split": self.split,
            "samples": self.samples,
            "metrics": dict(self.metrics),
            "labels": list(self.labels),
            "confusion": [list(row) for row in self.confusion],
        }


def evaluate(
    model: Predict | nn.Module,
    dataset: Dataset,
    split: SplitName = "val",
    metrics: Sequence[str] | None = None,
) -> Evaluation:
    """Evaluates a model on a whole split.

    Args:
        model: A torch module, or a function from a batch, one tensor [N, *sample_shape] or several
            by name, to outputs (the `run` of an ONNX session).
        dataset: Where the samples are.
        split: Which of its splits. Nothing should be chosen by "test".
        metrics: Keys of metrics; by default all that judge the dataset's task.

    Raises:
        InputError: The split is unknown or empty.
        UnsupportedError: A metric does not judge this task.
    """
    task = TASKS.get(dataset.task)
    keys = checked_metrics(metrics, dataset.task, dataset.labels)
    outputs, targets = predict_split(as_predict(model), _split(dataset, split))
    task.check(outputs, dataset.labels)
    counts = task.confusion(outputs, targets)
    return Evaluation(
        split=split,
        samples=len(targets),
        metrics={key: METRICS.get(key).compute(outputs, targets) for key in keys},
        labels=tuple(dataset.labels),
        confusion=() if counts is None else tuple(tuple(row) for row in counts.tolist()),
    )


def predict_split(
    predict: Predict, split: Split, batch_size: int | None = None
) -> tuple[NDArray[np.floating], NDArray[Any]]:
    """Returns outputs float [N, …] and targets [N] over a whole split, in its order."""
    size = batch_size or affordable_batch((split.sample_size,), _BATCH)
    outputs = [np.asarray(predict(inputs)) for inputs, _ in split.batches(size)]
    return np.concatenate(outputs), np.asarray(split.targets)


def as_predict(model: Predict | nn.Module) -> Predict:
    """Returns `model` as a function on batches; a torch module runs in evaluation mode."""
    if hasattr(model, "state_dict") and hasattr(model, "eval"):
        loop = require("workbench.engine.loop", for_="evaluating a torch module")
        return lambda inputs: loop.outputs_of(model, inputs)
    return model


def _split(dataset: Dataset, name: str) -> Split:
    if name not in ("train", "val", "test"):
        raise InputError(f"No split '{name}'.", hint="Splits: train, val, test.")
    split: Split = getattr(dataset, name)
    if len(split) == 0:
        raise InputError(f"The split '{name}' of {dataset.ref} is empty.")
    return split


def checked_metrics(metrics: Sequence[str] | None, task: str, labels: Sequence[str]) -> list[str]:
    """Returns the keys to compute; by default all that judge the task, its primary one first.

    Raises:
        UnsupportedError: Some do not judge the task.
    """
    is_labeled, asked = bool(labels), metrics or METRICS
    reasons = {key: METRICS.get(key).supports(task, labeled=is_labeled) for key in asked}
    if metrics is None:
        first = primary_metric(task, labels)
        fitting = [key for key, reason in reasons.items() if reason is None]
        return sorted(fitting, key=lambda key: (key != first, key))
    problems = [reason for reason in reasons.values() if reason is not None]
    if problems:
        raise UnsupportedError("Some metrics do not judge this model.", hint=" ".join(problems))
    return list(metrics)
