"""Labels that may hold together: each is answered yes or no."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from workbench.core.errors import InputError
from workbench.core.optional import require
from workbench.core.records import Description, OutputKind
from workbench.tasks import _geometry, _scores
from workbench.tasks._labels import check_labels, class_name, sorted_names
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


class Multilabel(Task):
    """Targets uint8 [N, labels] of 0 and 1; outputs [N, labels] are logits or probabilities."""

    summary = "Labels that may hold together; scored by F1 over all answers."
    what = "labels"
    dtype = "float32"

    def examples(self, count: int, rng: np.random.Generator) -> tuple[ExampleTargets, ...]:
        """Lists of names, and a matrix of 0 and 1."""
        matrix = rng.integers(0, 2, (count, 3))
        names = ("red", "round", "ripe")
        lists = [[names[i] for i in np.flatnonzero(row)] for row in matrix]
        return ExampleTargets(lists), ExampleTargets(matrix, names)

    def targets(
        self, values: Any, labels: Sequence[str] | None, place: Place, axes: int = 0
    ) -> Targets:
        """Lists of names, or a matrix of 0 and 1 → uint8 [N, labels]."""
        if labels is not None:
            check_labels(labels)
        if isinstance(values, np.ndarray):
            found = _of_matrix(values, labels, place)
        else:
            found = _of_names(values, labels, place)
        if len(found.labels) < 2:
            raise InputError(
                f"There is {len(found.labels)} label; several are needed.",
                hint="Say task='classification' to tell one thing from another.",
            )
        return found

    def target_words(self, target: Any, labels: Sequence[str]) -> str:
        """The names of the labels that hold."""
        return ", ".join(labels[int(i)] for i in np.flatnonzero(target)) or "none"

    def strata(self, targets: np.ndarray) -> NDArray[np.int64]:
        """The rarest label that a sample shows; those without any are one stratum more."""
        rarity = np.where(targets > 0, targets.sum(axis=0), len(targets) + 1)
        rarest = np.where(targets.any(axis=1), rarity.argmin(axis=1), targets.shape[1])
        return np.asarray(rarest)

    def counts(self, targets: np.ndarray, labels: Sequence[str]) -> NDArray[np.int64]:
        """Samples that show each label."""
        return np.asarray(targets.sum(axis=0, dtype=np.int64))

    def first_with(self, targets: np.ndarray, label: int) -> int:
        """The first sample that shows a label."""
        return int(np.flatnonzero(targets[:, label])[0])

    def output_shape(self, labels: Sequence[str], target: tuple[int, ...]) -> tuple[int, ...]:
        """One number a label."""
        return (len(labels),)

    def reason(self, shape: tuple[int, ...], labels: Sequence[str]) -> str | None:
        """A vector with one number a label fits."""
        if shape == (len(labels),):
            return None
        return f"needs one number for each of {len(labels)} labels"

    def output_kind(self, outputs: np.ndarray | None, labels: Sequence[str]) -> OutputKind:
        """Numbers from zero to one are probabilities."""
        return "logits" if outputs is None or not _scores.are_shares(outputs) else "probabilities"

    def metrics(self, *, labeled: bool) -> tuple[str, ...]:
        """F1 over all answers, then the share of samples that are wholly right."""
        return ("f1_micro", "subset_accuracy")

    def loss(self, options: LossOptions) -> Loss:
        """Binary cross-entropy, each label by itself."""
        losses = require("workbench.tasks.losses", for_="training")
        made: Loss = losses.BinaryCrossEntropy(options.class_weights, options.label_smoothing)
        return made

    def teaching(self, temperature: float, target_std: Any) -> Loss:
        """KL divergence of the softened answers to each label."""
        losses = require("workbench.tasks.losses", for_="distillation")
        return lambda outputs, taught: losses.soft_binary_cross_entropy(
            outputs, taught, temperature
        )

    def answers(self, outputs: np.ndarray, description: Description) -> Answers:
        """The labels that are likelier than not, and the probability of each."""
        labels = description.labels
        if outputs.shape[1:] != (len(labels),):
            raise InputError(f"The model gave {outputs.shape[1:]} scores for {len(labels)} labels.")
        shares = outputs.astype(np.float64)
        if description.output == "logits":
            shares = _geometry.sigmoid(shares)
        return [
            {
                "labels": [name for name, share in zip(labels, row, strict=True) if share > 0.5],
                "scores": dict(zip(labels, row, strict=True)),
            }
            for row in shares.tolist()
        ]

    def answer_schema(self, labels: Sequence[str]) -> dict[str, Any]:
        """Labels, and a number for each."""
        scores = {"type": "object", "additionalProperties": {"type": "number"}}
        return {"labels": {"type": "array", "items": {"enum": list(labels)}}, "scores": scores}

    def figures(self, outputs: np.ndarray, targets: np.ndarray) -> Figures:
        """The share of a sample's labels that are answered right."""
        right = _scores.yes(outputs) == (targets > 0)
        return Figures(right.mean(axis=1), np.ones(len(targets)), "share")

    def margins(self, outputs: np.ndarray) -> np.ndarray:
        """How near the nearest answer is to the other one."""
        middle = 0.5 if _scores.are_shares(outputs) else 0.0
        return np.asarray(np.abs(outputs - middle).min(axis=1))

    def whitened(
        self, before: np.ndarray, after: np.ndarray, kind: OutputKind, temperature: float
    ) -> np.ndarray:
        """By the variance of each answer."""
        return _geometry.sigmoid_change(before, after, kind, temperature)

    def probes(
        self, outputs: np.ndarray, kind: OutputKind, temperature: float, rng: np.random.Generator
    ) -> np.ndarray:
        """By the variance of each answer."""
        return _geometry.sigmoid_probes(outputs, kind, temperature, rng)


PLUGIN = Multilabel()


def _of_matrix(values: np.ndarray, labels: Sequence[str] | None, place: Place) -> Targets:
    if values.ndim != 2:
        raise InputError(
            f"The targets have shape {values.shape}; (N, labels) of 0 and 1 is needed."
        )
    names = tuple(labels or (str(i) for i in range(values.shape[1])))
    if len(names) != values.shape[1]:
        raise InputError(f"There are {len(names)} labels for {values.shape[1]} columns of targets.")
    bad = np.flatnonzero(~np.isin(values, (0, 1)).all(axis=1))
    problems = [f"{place(int(i))}: a target is neither 0 nor 1" for i in bad]
    return Targets(np.asarray(values == 1).astype(np.uint8), names, problems)


def _of_names(values: Sequence[Any], labels: Sequence[str] | None, place: Place) -> Targets:
    rows = [_names(value) for value in values]
    shown = {name for row in rows for name in row or ()}
    known = tuple(labels) if labels is not None else sorted_names(shown)
    position = {name: i for i, name in enumerate(known)}
    found, problems = np.zeros((len(rows), len(known)), np.uint8), []
    for index, row in enumerate(rows):
        if row is None:
            problems.append(f"{place(index)}: {values[index]!r} is no list of labels")
            continue
        unknown = [name for name in row if name not in position]
        if unknown:
            problems.append(f"{place(index)}: {', '.join(unknown)} is none of the labels")
        found[index, [position[name] for name in row if name in position]] = 1
    return Targets(found, known, problems)


def _names(value: Any) -> list[str] | None:
    """Returns the names in a list or set; None for anything else, or one that is missing."""
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if not isinstance(value, (list, tuple, set, frozenset)):
        return None
    names = [class_name(item) for item in value]
    return None if None in names else [name for name in names if name is not None]
