"""The loss of a task as a network wants it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from workbench.tasks import TASKS, LossOptions

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def default_loss(task: str, model: nn.Module, label_smoothing: float = 0.0) -> Loss:
    """Returns the loss that fits `model`; a `Normalized` regression knows its targets' spread."""
    return TASKS.get(task).loss(
        LossOptions(label_smoothing=label_smoothing, target_std=target_std(model))
    )


def target_std(model: nn.Module) -> torch.Tensor | float:
    """Returns the spread of the targets that `model` knows; 1 if it knows none."""
    spread = getattr(model, "target_std", None)
    return 1.0 if spread is None else spread


def balanced_weights(counts: NDArray[np.integer]) -> tuple[float, ...]:
    """Returns N / (labels · count) by label, so that each label weighs the same in sum.

    Args:
        counts: int [labels], samples of each; one that never occurs gets weight 0.
    """
    weights = np.where(counts > 0, counts.sum() / (len(counts) * np.maximum(counts, 1)), 0.0)
    return tuple(float(weight) for weight in weights)
