"""One value a sample, or several."""

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

_BINS = 10


class Regression(Task):
    """Values [N], or [N, k] of several; outputs are [N, 1] (or [N]) and [N, k]."""

    summary = "One value or several; scored by the share of variance explained."
    what = "values"
    dtype = "float32"
    ensemble = "HistGradientBoostingRegressor"

    def examples(self, count: int, rng: np.random.Generator) -> tuple[ExampleTargets, ...]:
        """One value, and three of different units."""
        several = rng.normal((1.0, 0.0, -50.0), (0.1, 1.0, 20.0), (count, 3))
        return ExampleTargets(rng.normal(7, 3, count).tolist()), ExampleTargets(several)

    def targets(
        self, values: Any, labels: Sequence[str] | None, place: Place, axes: int = 0
    ) -> Targets:
        """Finite numbers → float32 [N] or [N, k]."""
        if labels:
            raise InputError(
                "Values have no labels.",
                hint="Leave labels= out, or say task='classification'.",
            )
        found, problems = as_values(values, place)
        return Targets(found, (), problems)

    def target_words(self, target: Any, labels: Sequence[str]) -> str:
        """The number, or the numbers."""
        return ", ".join(f"{value:.4g}" for value in np.ravel(target).tolist())

    def strata(self, targets: np.ndarray) -> NDArray[np.int64]:
        """Tenths of the values by rank; of several values by the mean of their ranks."""
        columns = targets.reshape(len(targets), -1)
        ranks = np.argsort(np.argsort(columns, axis=0, kind="stable"), axis=0, kind="stable")
        order = ranks[:, 0] if ranks.shape[1] == 1 else _ranks(ranks.mean(axis=1))
        return np.asarray(order * _BINS // max(1, len(targets)))

    def scale(self, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and deviation of each value."""
        return targets.mean(axis=0), targets.std(axis=0)

    def output_shape(self, labels: Sequence[str], target: tuple[int, ...]) -> tuple[int, ...]:
        """One number a value."""
        return target or (1,)

    def reason(self, shape: tuple[int, ...], labels: Sequence[str]) -> str | None:
        """A number or a vector of numbers fits."""
        return None if len(shape) <= 1 else "needs one value, or a vector of values"

    def metrics(self, *, labeled: bool) -> tuple[str, ...]:
        """R², then the error in the targets' unit."""
        return ("r2", "rmse")

    def loss(self, options: LossOptions) -> Loss:
        """Squared error in units of the targets' spread."""
        refuse_label_options(options)
        losses = require("workbench.tasks.losses", for_="training")
        made: Loss = losses.SquaredError(options.target_std)
        return made

    def teaching(self, temperature: float, target_std: Any) -> Loss:
        """Squared distance in units of the targets' spread."""
        losses = require("workbench.tasks.losses", for_="distillation")
        made: Loss = losses.SquaredError(target_std)
        return made

    def answers(self, outputs: np.ndarray, description: Description) -> Answers:
        """The value, or the list of values."""
        if outputs.ndim > 1 and outputs.shape[1:] != (1,):
            return [{"value": row} for row in outputs.tolist()]
        return [{"value": value} for value in outputs.reshape(-1).tolist()]

    def figures(self, outputs: np.ndarray, targets: np.ndarray) -> Figures:
        """The value; of several the mean error, in units of each one's spread."""
        got, wanted = _scores.values(outputs, targets)
        if got.shape[1] == 1:
            return Figures(got[:, 0], wanted[:, 0], "value")
        errors = np.abs(got - wanted) / _geometry.spread(wanted)
        return Figures(errors.mean(axis=1), np.zeros(len(got)), "error")

    def whitened(
        self, before: np.ndarray, after: np.ndarray, kind: OutputKind, temperature: float
    ) -> np.ndarray:
        """In units of each value's spread."""
        return _geometry.value_change(_matrix(before), _matrix(after))

    def probes(
        self, outputs: np.ndarray, kind: OutputKind, temperature: float, rng: np.random.Generator
    ) -> np.ndarray:
        """In units of each value's spread."""
        return _geometry.value_probes(_matrix(outputs), rng).reshape(outputs.shape)


PLUGIN = Regression()


def refuse_label_options(options: LossOptions) -> None:
    """Refuses options of a loss that are for labels."""
    if options.class_weights is not None or options.label_smoothing:
        raise InputError(
            "The targets are values, not classes.",
            hint="Leave class_weights and label_smoothing out: they are for classification.",
        )


def as_values(values: Any, place: Place) -> tuple[np.ndarray, list[str]]:
    """Returns float32 targets [N] or [N, k], and the places of what is no finite number."""
    if isinstance(values, np.ndarray) and values.ndim > 1 and values.dtype.kind in "buif":
        found = values[:, 0] if values.shape[1:] == (1,) else values
        with np.errstate(over="ignore"):
            result = found.astype(np.float32)
        bad = np.flatnonzero(~np.isfinite(result).reshape(len(result), -1).all(axis=1))
        return result, [f"{place(int(i))}: a target is no finite number" for i in bad]
    return _scalars(values, place)


def _scalars(values: Sequence[Any], place: Place) -> tuple[np.ndarray, list[str]]:
    result = np.zeros(len(values), np.float32)
    problems = []
    for index, value in enumerate(values):
        try:
            number = float(value)
        except (TypeError, ValueError):
            number = math.nan
        if not math.isfinite(number):
            what = "the target is missing" if value is None else f"target {value!r} is no number"
            problems.append(f"{place(index)}: {what}")
        else:
            result[index] = number
    return result, problems


def _ranks(values: np.ndarray) -> np.ndarray:
    return np.argsort(np.argsort(values, kind="stable"), kind="stable")


def _matrix(outputs: np.ndarray) -> np.ndarray:
    return outputs.reshape(len(outputs), -1)
