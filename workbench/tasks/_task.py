"""What a task is: the targets, the outputs a network must have, loss, answers, comparison."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from workbench.core.errors import InputError
from workbench.core.plugins import Plugin
from workbench.core.records import Description, OutputKind

if TYPE_CHECKING:
    import torch

    Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]

Form = Literal["vector", "places"]
Answers = list[dict[str, Any]]
Place = Callable[[int], str]


@dataclass(frozen=True)
class Targets:
    """Targets as they are stored.

    Attributes:
        values: Shape (N, …), of the task's dtype.
        labels: Names of what is told apart; empty where values are predicted.
        problems: Every bad target, with its place.
    """

    values: np.ndarray
    labels: tuple[str, ...]
    problems: list[str]


class Figures(NamedTuple):
    """One figure a sample, to compare two models by.

    Attributes:
        values: Shape (N,).
        best: What each is at best, shape (N,).
        of: What they are: the value itself, an error, or a share of what is right.
    """

    values: np.ndarray
    best: np.ndarray
    of: Literal["value", "error", "share"]


@dataclass(frozen=True)
class LossOptions:
    """What a loss may be asked for; a task refuses what it cannot honor.

    Attributes:
        class_weights: Weight of each label; None weighs all alike.
        label_smoothing: Share of the target spread evenly over all classes.
        target_std: Spread of the targets, in which errors are measured, so that the learning rate
            means the same whatever their unit.
    """

    class_weights: Sequence[float] | None = None
    label_smoothing: float = 0.0
    target_std: Any = 1.0


@dataclass(frozen=True)
class ExampleTargets:
    """Targets of a few samples as a person gives them, to try a task with.

    Attributes:
        values: N targets.
        labels: Their names; None takes them from the values.
        axes: How many axes the places of a sample have.
    """

    values: Any
    labels: tuple[str, ...] | None = None
    axes: int = 0


class Task(Plugin):
    """Base of every task. Nothing outside this package knows which tasks there are.

    `outputs` is always the first output of a model for N samples, float [N, …]; `targets` are N
    stored targets. Only `loss` and `teaching` import torch.

    Attributes:
        form: Whether a network answers a vector a sample, or something at every place of it.
        what: Plural of what is predicted, as in "classes".
        dtype: Of targets as the loss wants them, by torch's name; None: whole numbers are int64,
            others float32.
        ensemble: Name of scikit-learn's estimator that a table's baseline is fitted by, whose
            `score` is the task's first metric; None without one.
    """

    form: ClassVar[Form] = "vector"
    what: ClassVar[str]
    dtype: ClassVar[str | None] = None
    ensemble: ClassVar[str | None] = None

    @abstractmethod
    def examples(self, count: int, rng: np.random.Generator) -> tuple[ExampleTargets, ...]:
        """Returns targets of every sort that the task takes, of `count` samples each."""

    # Targets.

    @abstractmethod
    def targets(
        self, values: Any, labels: Sequence[str] | None, place: Place, axes: int = 0
    ) -> Targets:
        """Returns targets of any sort as they are stored.

        Args:
            values: N targets as a person gives them.
            labels: Names of what is told apart; None takes them from the values.
            place: Where sample i came from.
            axes: How many axes the places of a sample have: 2 for pictures, 1 for series.

        Raises:
            InputError: The labels are not distinct.
        """

    @abstractmethod
    def strata(self, targets: np.ndarray) -> NDArray[np.int64]:
        """Returns a code [N] for each target; a split spreads each code evenly."""

    def counts(self, targets: np.ndarray, labels: Sequence[str]) -> NDArray[np.int64]:
        """Returns how many samples show each label; empty if there are no labels."""
        return np.zeros(0, np.int64)

    def target_words(self, target: Any, labels: Sequence[str]) -> str:
        """Returns one stored target in words."""
        shape = np.shape(target)
        return f"values of shape {shape}" if shape else f"{float(target):.4g}"

    def first_with(self, targets: np.ndarray, label: int) -> int:
        """Returns the number of the first sample that shows a label."""
        shown = (targets == label).reshape(len(targets), -1).any(axis=1)
        return int(np.flatnonzero(shown)[0])

    def scale(self, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
        """Returns mean and deviation by which a network's answers are scaled; None for none."""
        return None

    # Outputs.

    @abstractmethod
    def output_shape(self, labels: Sequence[str], target: tuple[int, ...]) -> tuple[int, ...]:
        """Returns the shape of a network's answer to one sample.

        Args:
            labels: What is told apart.
            target: Shape of one stored target.
        """

    @abstractmethod
    def reason(self, shape: tuple[int, ...], labels: Sequence[str]) -> str | None:
        """Returns why an output of this shape for one sample is no answer; None if it is."""

    def output_kind(self, outputs: np.ndarray | None, labels: Sequence[str]) -> OutputKind:
        """Returns what outputs hold; None are those of a network trained here."""
        return "value"

    def check(self, outputs: np.ndarray, labels: Sequence[str]) -> None:
        """Checks the shape of outputs [N, …].

        Raises:
            InputError: They are no answers of this task; the message says what would be.
        """
        reason = self.reason(outputs.shape[1:], labels)
        if reason is not None:
            raise InputError(
                f"The model answers {outputs.shape[1:]} for one sample; {self.key} {reason}.",
                hint="Check the last layer, and which output comes first.",
            )

    # Scores.

    @abstractmethod
    def metrics(self, *, labeled: bool) -> tuple[str, ...]:
        """Returns the keys of the metrics shown while training; models are chosen by the first.

        Args:
            labeled: Whether the targets are labels.
        """

    def confusion(self, outputs: np.ndarray, targets: np.ndarray) -> NDArray[np.int64] | None:
        """Returns counts [classes, classes], rows the true class; None without classes."""
        return None

    # Training: the only methods that import torch.

    @abstractmethod
    def loss(self, options: LossOptions) -> Loss:
        """Returns the loss of outputs and targets.

        Raises:
            InputError: The task has no use for one of the options.
        """

    @abstractmethod
    def teaching(self, temperature: float, target_std: Any) -> Loss:
        """Returns the distance of a student's outputs to its teacher's.

        Args:
            temperature: Softens both.
            target_std: Spread of the targets.
        """

    # Answers for a person.

    @abstractmethod
    def answers(self, outputs: np.ndarray, description: Description) -> Answers:
        """Returns one JSON-able answer a sample.

        Raises:
            InputError: The outputs do not fit the description.
        """

    def answer_schema(self, labels: Sequence[str]) -> dict[str, Any]:
        """Returns the JSON schemas of the fields of one answer, by name."""
        return {"value": {}}

    def decisions(self, outputs: np.ndarray) -> np.ndarray | None:
        """Returns the one class that each sample is answered [N]; None where there is none."""
        return None

    def margins(self, outputs: np.ndarray) -> np.ndarray | None:
        """Returns how narrowly each sample is decided [N]; None where nothing is."""
        return None

    @abstractmethod
    def figures(self, outputs: np.ndarray, targets: np.ndarray) -> Figures:
        """Returns one figure a sample to compare two models by, and what it is at best."""

    # Geometry: how much a change of the outputs matters. Sources in `_geometry`.

    @abstractmethod
    def whitened(
        self, before: np.ndarray, after: np.ndarray, kind: OutputKind, temperature: float
    ) -> np.ndarray:
        """Returns the change [N, D], scaled so that its square is twice the loss it causes."""

    @abstractmethod
    def probes(
        self, outputs: np.ndarray, kind: OutputKind, temperature: float, rng: np.random.Generator
    ) -> np.ndarray:
        """Returns random vectors like the outputs whose products with a change square to that."""
