"""Cross-entropy of one class in many, at each place too, and of many answers of yes or no."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn import functional

from workbench.tasks.losses._shapes import misfit


class CrossEntropy:
    """Cross-entropy of logits [N, classes, …] and class indices [N, …].

    Args:
        class_weights: Weight of each class; None weighs all alike.
        label_smoothing: Share of the target spread evenly over all classes.
    """

    def __init__(
        self, class_weights: Sequence[float] | None = None, label_smoothing: float = 0.0
    ) -> None:
        self._weight = _tensor(class_weights)
        self._label_smoothing = label_smoothing

    def __call__(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Returns the mean over samples and places."""
        if outputs.ndim < 2 or outputs.shape[:1] + outputs.shape[2:] != targets.shape:
            raise misfit("outputs (N, classes) and targets (N,)", outputs, targets)
        if self._weight is not None and self._weight.device != outputs.device:
            self._weight = self._weight.to(outputs.device)
        return functional.cross_entropy(
            outputs, targets, weight=self._weight, label_smoothing=self._label_smoothing
        )


class BinaryCrossEntropy:
    """Cross-entropy of logits [N, labels] and targets of 0 and 1 [N, labels].

    Args:
        class_weights: Weight of each label; None weighs all alike.
        label_smoothing: How far targets are moved from 0 and 1 towards a half.
    """

    def __init__(
        self, class_weights: Sequence[float] | None = None, label_smoothing: float = 0.0
    ) -> None:
        self._weight = _tensor(class_weights)
        self._label_smoothing = label_smoothing

    def __call__(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Returns the mean over samples and labels."""
        if outputs.ndim != 2 or outputs.shape != targets.shape:
            raise misfit("outputs and targets (N, labels)", outputs, targets)
        if self._weight is not None and self._weight.device != outputs.device:
            self._weight = self._weight.to(outputs.device)
        wanted = targets.to(outputs.dtype)
        wanted = wanted + self._label_smoothing * (0.5 - wanted)
        return functional.binary_cross_entropy_with_logits(outputs, wanted, weight=self._weight)


def soft_cross_entropy(
    outputs: torch.Tensor, taught: torch.Tensor, temperature: float
) -> torch.Tensor:
    """Returns T² · KL(softmax(taught/T) ‖ softmax(outputs/T)), mean over samples and places.

    Args:
        outputs: Logits [N, classes, …].
        taught: The teacher's, likewise.
        temperature: T; softens both (Hinton, Vinyals and Dean 2015, arXiv:1503.02531).
    """
    wanted = functional.log_softmax(taught / temperature, dim=1)
    given = functional.log_softmax(outputs / temperature, dim=1)
    divergence = functional.kl_div(given, wanted, reduction="sum", log_target=True)
    return divergence * temperature**2 * outputs.shape[1] / outputs.numel()


def soft_binary_cross_entropy(
    outputs: torch.Tensor, taught: torch.Tensor, temperature: float
) -> torch.Tensor:
    """Returns T² · KL of answers of yes or no at temperature T, mean over samples and labels."""
    wanted = torch.sigmoid(taught / temperature)
    entropy = functional.binary_cross_entropy_with_logits(taught / temperature, wanted)
    found = functional.binary_cross_entropy_with_logits(outputs / temperature, wanted)
    return (found - entropy) * temperature**2


def _tensor(weights: Sequence[float] | None) -> torch.Tensor | None:
    return None if weights is None else torch.tensor(weights, dtype=torch.float32)
