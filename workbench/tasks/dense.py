"""A class or values at every place of a sample: segmentation, depth, a denoised signal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from workbench.core.errors import InputError
from workbench.core.optional import require
from workbench.core.records import Description, OutputKind
from workbench.tasks import _geometry, _scores
from workbench.tasks._confusion import place_confusion
from workbench.tasks._labels import check_labels
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

_LOOKED_AT = 64  # places of a sample that stand for all, where changes are only estimated
_MOST_LABELS = 2**15
_BINS = 10


class Dense(Task):
    """Outputs [N, labels, *places] for class indices [N, *places], else both [N, values, *places].

    The places are those of the sample: height and width of a picture, the time of a series.
    """

    summary = "A class or a value at every place, as in segmentation; scored by overlap or R²."
    form = "places"
    what = "places"

    def examples(self, count: int, rng: np.random.Generator) -> tuple[ExampleTargets, ...]:
        """Classes, one value and two values at each place of a picture; a value along a series."""
        most = 2 + np.arange(count)[:, None, None] % 2
        return (
            ExampleTargets(rng.integers(0, most, (count, 6, 8)), ("sky", "sea", "sand"), 2),
            ExampleTargets(rng.normal(2, 3, (count, 6, 8)), None, 2),
            ExampleTargets(rng.normal(0, 1, (count, 2, 6, 8)), None, 2),
            ExampleTargets(rng.normal(0, 1, (count, 9)), None, 1),
        )

    def targets(
        self, values: Any, labels: Sequence[str] | None, place: Place, axes: int = 2
    ) -> Targets:
        """Whole numbers are classes → [N, *places]; others values → float32 [N, k, *places].

        Args:
            values: N arrays of the same shape.
            labels: Names of the classes.
            place: Where sample i came from.
            axes: How many axes the places of a sample have.
        """
        array = _array(values)
        if array.ndim not in (1 + axes, 2 + axes):
            raise InputError(
                f"The targets have shape {array.shape}; N targets with {axes} axes each are "
                "needed, or several values at each place, as N×k×…."
            )
        if labels is None and array.dtype.kind == "f":
            return _values(array if array.ndim == 2 + axes else array[:, None], place)
        if array.ndim != 1 + axes:
            raise InputError(f"Classes at places are N×…, one a place; got {array.shape}.")
        return _classes(array, labels, place)

    def target_words(self, target: Any, labels: Sequence[str]) -> str:
        """The names of the classes that are shown, or the range of the values."""
        if labels:
            return ", ".join(labels[int(i)] for i in np.unique(target))
        return f"{np.min(target):.4g} to {np.max(target):.4g}"

    def strata(self, targets: np.ndarray) -> NDArray[np.int64]:
        """The rarest class that a sample shows, or the tenth that its mean lies in."""
        if targets.dtype.kind == "f":
            means = targets.reshape(len(targets), -1).mean(axis=1)
            ranks = np.argsort(np.argsort(means, kind="stable"), kind="stable")
            return np.asarray(ranks * _BINS // max(1, len(targets)))
        shown = _shown(targets, int(targets.max(initial=0)) + 1)
        rarity = np.where(shown, shown.sum(axis=0), len(targets) + 1)
        return np.asarray(rarity.argmin(axis=1))

    def counts(self, targets: np.ndarray, labels: Sequence[str]) -> NDArray[np.int64]:
        """Samples that show each class."""
        return np.asarray(_shown(targets, len(labels)).sum(axis=0, dtype=np.int64))

    def scale(self, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
        """Mean and deviation of each value over samples and places."""
        if targets.dtype.kind != "f":
            return None
        axes = (0, *range(2, targets.ndim))
        shape = (-1, *[1] * (targets.ndim - 2))
        return targets.mean(axis=axes).reshape(shape), targets.std(axis=axes).reshape(shape)

    def output_shape(self, labels: Sequence[str], target: tuple[int, ...]) -> tuple[int, ...]:
        """A channel a label before the places, or as many as there are values."""
        return (len(labels), *target) if labels else target

    def reason(self, shape: tuple[int, ...], labels: Sequence[str]) -> str | None:
        """Channels before places fit; with labels, one a label."""
        if len(shape) < 2:
            return "needs an answer at every place: channels, then the places"
        if labels and shape[0] != len(labels):
            return f"needs {len(labels)} channels, one a label, before the places"
        return None

    def output_kind(self, outputs: np.ndarray | None, labels: Sequence[str]) -> OutputKind:
        """With labels, numbers that sum to one over the channels are probabilities."""
        if not labels:
            return "value"
        return "logits" if outputs is None else _scores.softmax_kind(outputs)

    def metrics(self, *, labeled: bool) -> tuple[str, ...]:
        """Overlap and share of places for classes, R² and error for values."""
        return ("mean_iou", "place_accuracy") if labeled else ("r2", "rmse")

    def confusion(self, outputs: np.ndarray, targets: np.ndarray) -> NDArray[np.int64] | None:
        """Counts of places."""
        if targets.dtype.kind == "f":
            return None
        return np.asarray(place_confusion(outputs, targets).sum(axis=0))

    def loss(self, options: LossOptions) -> Loss:
        """Cross-entropy at each place of classes, squared error of values."""
        losses = require("workbench.tasks.losses", for_="training")
        made: Loss = losses.AtPlaces(
            options.class_weights, options.label_smoothing, options.target_std
        )
        return made

    def teaching(self, temperature: float, target_std: Any) -> Loss:
        """KL divergence of the softened answers at each place; of values the squared distance."""
        losses = require("workbench.tasks.losses", for_="distillation")
        if not isinstance(target_std, float):  # a network of values knows their spread
            made: Loss = losses.SquaredError(target_std)
            return made
        return lambda outputs, taught: losses.soft_cross_entropy(outputs, taught, temperature)

    def answers(self, outputs: np.ndarray, description: Description) -> Answers:
        """What each place is answered: probabilities of the labels and the likeliest, or values."""
        if not description.labels:
            return [{"value": row} for row in outputs.tolist()]
        reason = self.reason(outputs.shape[1:], description.labels)
        if reason is not None:
            raise InputError(f"The model gave {outputs.shape[1:]} for one sample; it {reason}.")
        shares = np.moveaxis(outputs.astype(np.float64), 1, -1)
        if description.output == "logits":
            shares = _geometry.softmax(shares)
        best = shares.argmax(axis=-1)
        rows = np.moveaxis(shares, -1, 1)
        return [
            {"value": row, "label_map": places}
            for row, places in zip(rows.tolist(), best.tolist(), strict=True)
        ]

    def answer_schema(self, labels: Sequence[str]) -> dict[str, Any]:
        """A value at each place, and with labels the index of the likeliest."""
        return {"value": {}, "label_map": {"type": "array"}} if labels else {"value": {}}

    def figures(self, outputs: np.ndarray, targets: np.ndarray) -> Figures:
        """The share of a sample's places that are right, or its error in units of the spread."""
        if targets.dtype.kind != "f":
            right = outputs.argmax(axis=1) == targets
            shares = right.reshape(len(right), -1).mean(axis=1)
            return Figures(shares, np.ones(len(right)), "share")
        spread = max(float(targets.std()), 1e-12)
        errors = np.square((outputs - targets) / spread).reshape(len(targets), -1)
        return Figures(np.sqrt(errors.mean(axis=1)), np.zeros(len(targets)), "error")

    def whitened(
        self, before: np.ndarray, after: np.ndarray, kind: OutputKind, temperature: float
    ) -> np.ndarray:
        """At some places, by the covariance of the softmax or in units of each value's spread."""
        places = _looked_at(before)
        first, second = _rows(before, places), _rows(after, places)
        if kind == "value":
            change = _geometry.value_change(first, second)
        else:
            change = _geometry.softmax_change(first, second, kind, temperature)
        return np.asarray(change.reshape(len(before), -1) / math.sqrt(len(places)))

    def probes(
        self, outputs: np.ndarray, kind: OutputKind, temperature: float, rng: np.random.Generator
    ) -> np.ndarray:
        """At some places, likewise; zero at all others."""
        places = _looked_at(outputs)
        rows = _rows(outputs, places)
        if kind == "value":
            vectors = _geometry.value_probes(rows, rng)
        else:
            vectors = _geometry.softmax_probes(rows, kind, temperature, rng)
        found = np.zeros((*outputs.shape[:2], math.prod(outputs.shape[2:])))
        own = vectors.reshape(len(outputs), len(places), -1) / math.sqrt(len(places))
        found[:, :, places] = np.moveaxis(own, -1, 1)
        return found.reshape(outputs.shape)


PLUGIN = Dense()


def _array(values: Any) -> np.ndarray:
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise InputError("The targets have different shapes; all must be alike.") from error
    if array.dtype.kind not in "buif":
        raise InputError(f"The targets are {array.dtype}; arrays of numbers are needed.")
    return array.astype(np.uint8) if array.dtype == bool else array


def _values(array: np.ndarray, place: Place) -> Targets:
    found = array.astype(np.float32)
    bad = np.flatnonzero(~np.isfinite(found).reshape(len(found), -1).all(axis=1))
    return Targets(found, (), [f"{place(int(i))}: a target is no finite number" for i in bad])


def _classes(array: np.ndarray, labels: Sequence[str] | None, place: Place) -> Targets:
    if labels is not None:
        check_labels(labels)
    most = int(array.max(initial=0)) + 1
    if labels is None and most > _MOST_LABELS:
        raise InputError(
            f"The targets are whole numbers up to {most - 1}: too many classes.",
            hint="Give values as floats: targets.astype('float32').",
        )
    known = tuple(labels or (str(i) for i in range(most)))
    rows = array.reshape(len(array), -1)
    bad = np.flatnonzero(((rows < 0) | (rows >= len(known)) | (rows % 1 != 0)).any(axis=1))
    problems = [
        f"{place(int(i))}: a target is not one of 0…{len(known) - 1} (indices into the labels)"
        for i in bad
    ]
    small = np.uint8 if len(known) <= 2**8 else np.int16
    return Targets(np.where(array < 0, 0, array).astype(small), known, problems)


def _shown(targets: np.ndarray, labels: int) -> NDArray[np.bool_]:
    rows = targets.reshape(len(targets), -1)
    found = np.zeros((len(rows), labels), bool)
    for label in range(labels):
        found[:, label] = (rows == label).any(axis=1)
    return found


def _looked_at(outputs: np.ndarray) -> NDArray[np.int64]:
    """Returns the numbers of the places that stand for all: the same for every batch."""
    total = math.prod(outputs.shape[2:])
    if total <= _LOOKED_AT:
        return np.arange(total)
    return np.sort(np.random.default_rng(0).choice(total, _LOOKED_AT, replace=False))


def _rows(outputs: np.ndarray, places: NDArray[np.int64]) -> np.ndarray:
    """Returns the answers at some places as rows [N · places, channels]."""
    flat = outputs.reshape(*outputs.shape[:2], -1)[:, :, places]
    return np.moveaxis(flat, 1, -1).reshape(-1, outputs.shape[1])
