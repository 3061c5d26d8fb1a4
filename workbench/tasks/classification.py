"""One class of several."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from workbench.core.errors import InputError
from workbench.core.optional import require
from workbench.core.records import Description, OutputKind
from workbench.tasks import _geometry, _scores
from workbench.tasks._confusion import confusion_matrix
from workbench.tasks._labels import as_classes
from workbench.tasks._task import (
    Answers,
    ExampleTargets,
    Figures,
    LossOptions,
    Place,
    Targets,
    Task,
)

if TYPE_CHECKING:
    from workbench.tasks._task import Loss


class Classification(Task):
    """A sample is of one class; outputs [N, classes] are logits or probabilities."""

    summary = "One class of several; scored by accuracy."
    what = "classes"
    dtype = "int64"
    ensemble = "HistGradientBoostingClassifier"

    def examples(self, count: int, rng: np.random.Generator) -> tuple[ExampleTargets, ...]:
        """Names, and indices."""
        indices = np.arange(count) % 3
        names = ("ant", "bee", "cat")
        return (
            ExampleTargets([names[i] for i in indices]),
            ExampleTargets(indices.tolist(), names),
        )

    def targets(
        self, values: Any, labels: Sequence[str] | None, place: Place, axes: int = 0
    ) -> Targets:
        """Names of labels, or whole numbers that index them → int64 [N]."""
        if isinstance(values, np.ndarray) and values.ndim > 1:
            raise InputError(f"The targets have shape {values.shape}; one class a sample is right.")
        return Targets(*as_classes(values, labels, place))

    def target_words(self, target: Any, labels: Sequence[str]) -> str:
        """The name of the class."""
        return labels[int(target)]

    def strata(self, targets: np.ndarray) -> NDArray[np.int64]:
        """Each class by itself."""
        return targets

    def counts(self, targets: np.ndarray, labels: Sequence[str]) -> NDArray[np.int64]:
        """Samples of each class."""
        return np.bincount(targets, minlength=len(labels))

    def output_shape(self, labels: Sequence[str], target: tuple[int, ...]) -> tuple[int, ...]:
        """One number a class."""
        return (len(labels),)

    def reason(self, shape: tuple[int, ...], labels: Sequence[str]) -> str | None:
        """A vector with at least one number a label fits."""
        if len(shape) == 1 and shape[0] >= len(labels):
            return None
        return f"needs one number for each of {len(labels)} labels"

    def output_kind(self, outputs: np.ndarray | None, labels: Sequence[str]) -> OutputKind:
        """Numbers of no sign that sum to one are probabilities."""
        return "logits" if outputs is None else _scores.softmax_kind(outputs)

    def metrics(self, *, labeled: bool) -> tuple[str, ...]:
        """Accuracy."""
        return ("accuracy",)

    def confusion(self, outputs: np.ndarray, targets: np.ndarray) -> NDArray[np.int64]:
        """Rows are the true class, columns the answer."""
        return confusion_matrix(outputs, targets)

    def loss(self, options: LossOptions) -> Loss:
        """Cross-entropy."""
        losses = require("workbench.tasks.losses", for_="training")
        made: Loss = losses.CrossEntropy(options.class_weights, options.label_smoothing)
        return made

    def teaching(self, temperature: float, target_std: Any) -> Loss:
        """KL divergence of the softened answers."""
        losses = require("workbench.tasks.losses", for_="distillation")
        return lambda outputs, taught: losses.soft_cross_entropy(outputs, taught, temperature)

    def answers(self, outputs: np.ndarray, description: Description) -> Answers:
        """The likeliest label, and the probability of each."""
        labels = description.labels
        if outputs.ndim != 2:
            raise InputError(
                f"The model gave {outputs.shape[1:]} for one sample; one score for each of "
                f"{len(labels)} labels is needed."
            )
        shares = _shares(outputs.astype(np.float64), description)
        if shares.shape[1] != len(labels):
            raise InputError(f"The model gave {shares.shape[1]} scores for {len(labels)} labels.")
        best = shares.argmax(axis=1)
        return [
            {"label": labels[winner], "scores": dict(zip(labels, row, strict=True))}
            for winner, row in zip(best.tolist(), shares.tolist(), strict=True)
        ]

    def answer_schema(self, labels: Sequence[str]) -> dict[str, Any]:
        """A label, and a number for each."""
        scores = {"type": "object", "additionalProperties": {"type": "number"}}
        return {"label": {"enum": list(labels)}, "scores": scores}

    def decisions(self, outputs: np.ndarray) -> np.ndarray:
        """The class answered."""
        return _scores.class_indices(outputs)

    def margins(self, outputs: np.ndarray) -> np.ndarray:
        """The distance of the two largest outputs."""
        top = np.partition(outputs, -2, axis=1)[:, -2:]
        return np.asarray(top[:, 1] - top[:, 0])

    def figures(self, outputs: np.ndarray, targets: np.ndarray) -> Figures:
        """Whether the answer is right."""
        right = self.decisions(outputs) == targets
        return Figures(right.astype(float), np.ones(len(targets)), "share")

    def whitened(
        self, before: np.ndarray, after: np.ndarray, kind: OutputKind, temperature: float
    ) -> np.ndarray:
        """By the covariance of the softmax."""
        return _geometry.softmax_change(before, after, kind, temperature)

    def probes(
        self, outputs: np.ndarray, kind: OutputKind, temperature: float, rng: np.random.Generator
    ) -> np.ndarray:
        """By the covariance of the softmax."""
        return _geometry.softmax_probes(outputs, kind, temperature, rng)


PLUGIN = Classification()


def _shares(scores: np.ndarray, description: Description) -> np.ndarray:
    if scores.shape[1] == 1 and len(description.labels) == 2:
        positive = _geometry.sigmoid(scores) if description.output == "logits" else scores
        return np.concatenate([1 - positive, positive], axis=1)
    return _geometry.softmax(scores) if description.output == "logits" else scores
