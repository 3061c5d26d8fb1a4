"""Squared error of values."""

from __future__ import annotations

from typing import Any

import torch

from workbench.tasks.losses._shapes import misfit


class SquaredError:
    """Mean squared error, in units of the targets' spread.

    Outputs [N, 1] and targets [N] are the same shape; nothing else is broadcast.

    Args:
        target_std: The spread: a number, or one for each value that is predicted.
    """

    def __init__(self, target_std: Any = 1.0) -> None:
        self._target_std = target_std

    def __call__(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Returns the mean over samples, values and places."""
        if outputs.ndim == targets.ndim + 1 and outputs.shape[1] == 1:
            outputs = outputs[:, 0]
        if outputs.shape != targets.shape:
            raise misfit("outputs (N,) or (N, 1) and targets (N,)", outputs, targets)
        spread = self._target_std
        if isinstance(spread, torch.Tensor):
            spread = spread.to(outputs.device)
        loss: torch.Tensor = ((outputs - targets) / spread).square().mean()
        return loss
