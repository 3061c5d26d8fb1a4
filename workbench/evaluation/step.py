"""Scores of a model on one split, whatever runs the model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from workbench.core.errors import InputError, UnsupportedError
from workbench.core.optional import require
from workbench.core.records import Task
from workbench.engine.batch_size import affordable_batch
from workbench.evaluation.confusion import confusion_matrix, share
from workbench.evaluation.metrics import METRICS

if TYPE_CHECKING:
    from torch import nn

    from workbench.data import Dataset, Split

SplitName = Literal["train", "val", "test"]
Predict = Callable[[NDArray[np.float32]], NDArray[np.floating]]
_PRIMARY: Mapping[Task, str] = {"classification": "accuracy", "regression": "r2"}
_BATCH = 256


@dataclass(frozen=True)
class Evaluation:
    """How a model did on one split.

    Attributes:
        split: Which one.
        samples: How many samples it has.
        metrics: Value by metric; the primary one comes first.
        labels: Class names; empty for regression.
        confusion: Counts, rows are the true class, columns the answer; empty for regression.
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
        found = share(np.diag(counts), counts.sum(1))
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


def primary_metric(task: Task) -> str:
    """Returns the metric by which models of this task are chosen."""
    return _PRIMARY[task]


def evaluate(
    model: Predict | nn.Module,
    dataset: Dataset,
    split: SplitName = "val",
    metrics: Sequence[str] | None = None,
) -> Evaluation:
    """Evaluates a model on a whole split.

    Args:
        model: A torch module, or a function from float32 [N, *sample_shape] to outputs (the `run`
            of an ONNX session).
        dataset: Where the samples are.
        split: Which of its splits. Nothing should be chosen by "test".
        metrics: Keys of metrics; by default all that judge the dataset's task.

    Raises:
        InputError: The split is unknown or empty.
        UnsupportedError: A metric does not judge this task.
    """
    keys = _checked(metrics, dataset.task)
    outputs, targets = predict_split(as_predict(model), _split(dataset, split))
    is_classifier = dataset.task == "classification"
    confusion = confusion_matrix(outputs, targets).tolist() if is_classifier else []
    return Evaluation(
        split=split,
        samples=len(targets),
        metrics={key: METRICS.get(key).compute(outputs, targets) for key in keys},
        labels=tuple(dataset.labels) if is_classifier else (),
        confusion=tuple(tuple(row) for row in confusion),
    )


def predict_split(
    predict: Predict, split: Split, batch_size: int | None = None
) -> tuple[NDArray[np.floating], NDArray[Any]]:
    """Returns outputs float [N, …] and targets [N] over a whole split, in its order."""
    size = batch_size or affordable_batch(split.inputs.shape[1:], _BATCH)
    outputs = [np.asarray(predict(inputs)) for inputs, _ in split.batches(size)]
    return np.concatenate(outputs), np.asarray(split.targets)


def as_predict(model: Predict | nn.Module) -> Predict:
    """Returns `model` as a function on arrays; a torch module runs in evaluation mode."""
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


def _checked(metrics: Sequence[str] | None, task: Task) -> list[str]:
    """Returns the keys to compute, the task's primary metric first."""
    primary = primary_metric(task)
    if metrics is None:
        fitting = [key for key in METRICS if METRICS.get(key).supports(task) is None]
        return sorted(fitting, key=lambda key: (key != primary, key))
    reasons = [METRICS.get(key).supports(task) for key in metrics]
    problems = [reason for reason in reasons if reason is not None]
    if problems:
        raise UnsupportedError("Some metrics do not judge this model.", hint=" ".join(problems))
    return list(metrics)
