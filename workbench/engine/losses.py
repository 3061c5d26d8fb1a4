"""Losses that refuse the shapes which silently broadcast."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from workbench.core.errors import InputError
from workbench.core.records import Task

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def make_loss(
    task: Task,
    *,
    class_weights: Sequence[float] | None = None,
    label_smoothing: float = 0.0,
    target_std: torch.Tensor | float = 1.0,
) -> Loss:
    """Returns cross-entropy for classification, squared error for regression.

    Args:
        task: What the model predicts.
        class_weights: Weight of each class; None weighs all alike.
        label_smoothing: Share of the target spread evenly over all classes.
        target_std: Spread of the targets: the squared error is measured in it, so that the
            learning rate means the same whatever their unit.
    """
    if task == "regression":
        return _SquaredError(target_std)
    weight = None if class_weights is None else torch.tensor(class_weights, dtype=torch.float32)
    return _CrossEntropy(weight, label_smoothing)


def default_loss(task: Task, model: nn.Module, label_smoothing: float = 0.0) -> Loss:
    """Returns the loss that fits `model`; a `Normalized` regression knows its targets' spread."""
    spread = getattr(model, "target_std", None)
    return make_loss(
        task, label_smoothing=label_smoothing, target_std=1.0 if spread is None else spread
    )


def balanced_weights(targets: NDArray[np.integer], classes: int) -> tuple[float, ...]:
    """Returns N / (classes · count) by class, so that each class weighs the same in sum.

    Args:
        targets: int [N], class indices.
        classes: Number of classes; one that never occurs gets weight 0.
    """
    counts = np.bincount(targets, minlength=classes)
    weights = np.where(counts > 0, len(targets) / (classes * np.maximum(counts, 1)), 0.0)
    return tuple(float(weight) for weight in weights)


class _CrossEntropy:
    def __init__(self, weight: torch.Tensor | None, label_smoothing: float) -> None:
        self._weight = weight
        self._label_smoothing = label_smoothing

    def __call__(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        if targets.ndim != 1 or outputs.ndim != 2 or len(outputs) != len(targets):
            raise _shapes("(N, classes)", outputs, targets)
        if self._weight is not None and self._weight.device != outputs.device:
            self._weight = self._weight.to(outputs.device)
        return functional.cross_entropy(
            outputs, targets, weight=self._weight, label_smoothing=self._label_smoothing
        )


class _SquaredError:
    def __init__(self, target_std: torch.Tensor | float) -> None:
        self._target_std = target_std

    def __call__(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        if outputs.ndim == 2 and outputs.shape[1] == 1:
            outputs = outputs[:, 0]
        if targets.ndim != 1 or outputs.shape != targets.shape:
            raise _shapes("(N,) or (N, 1)", outputs, targets)
        return ((outputs - targets) / self._target_std).square().mean()


def _shapes(wanted: str, outputs: torch.Tensor, targets: torch.Tensor) -> InputError:
    return InputError(
        f"The model's outputs have shape {tuple(outputs.shape)} for targets of shape "
        f"{tuple(targets.shape)}; outputs {wanted} and targets (N,) are needed.",
        hint="Check the last layer, and that nothing in the model mixes samples of a batch.",
    )
