"""The wrapper that carries a network's normalisation inside its own graph."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import nn

_SMALLEST_SPREAD = 1e-6


class Normalized(nn.Module):
    """A network together with its normalisation, so that it takes samples as they are.

    `forward(x) = net((x - mean) / std)`, and for regression `· target_std + target_mean`, so that
    the network learns standardised targets but answers in the user's units. The statistics are
    buffers: saved with the weights and exported with the graph, never trained.

    Args:
        net: Takes float32 [batch, *sample_shape], gives float32 [batch, outputs]; a [batch] of
            values is made a column.
        mean: Mean of the training inputs, broadcastable against one sample.
        std: Standard deviation likewise; a spread of zero counts as one.
        target_mean: Mean of the training targets; None for classification.
        target_std: Standard deviation likewise.

    Attributes:
        pruning_history: Channels removed so far, as torch-pruning records them, with module names
            relative to this wrapper; saved with the network and replayed when it is loaded.
    """

    mean: torch.Tensor
    std: torch.Tensor
    target_mean: torch.Tensor | None
    target_std: torch.Tensor | None

    def __init__(
        self,
        net: nn.Module,
        mean: ArrayLike,
        std: ArrayLike,
        target_mean: ArrayLike | None = None,
        target_std: ArrayLike | None = None,
    ) -> None:
        super().__init__()
        self.net = net
        self.register_buffer("mean", _tensor(mean))
        self.register_buffer("std", _spread(std))
        self.register_buffer("target_mean", None if target_mean is None else _tensor(target_mean))
        self.register_buffer("target_std", None if target_std is None else _spread(target_std))
        self.pruning_history: list[Any] = []

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Returns float32 [batch, outputs] for float32 [batch, *sample_shape] as prepared."""
        outputs: torch.Tensor = self.net((inputs - self.mean) / self.std)
        if outputs.ndim == 1:
            outputs = outputs[:, None]
        if self.target_mean is None or self.target_std is None:
            return outputs
        return outputs * self.target_std + self.target_mean


def _tensor(values: ArrayLike) -> torch.Tensor:
    return torch.from_numpy(np.array(values, dtype=np.float32))


def _spread(values: ArrayLike) -> torch.Tensor:
    spread = _tensor(values)
    return torch.where(spread.abs() < _SMALLEST_SPREAD, torch.ones_like(spread), spread)
