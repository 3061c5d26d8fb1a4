"""The wrapper that carries a network's normalisation inside its own graph."""

from __future__ import annotations

from typing import Any

import torch
from numpy.typing import ArrayLike
from torch import nn

from workbench.families.network.answering import Answering, as_spread, as_tensor


class Normalized(Answering):
    """A network together with its normalisation, so that it takes samples as they are.

    `forward(x) = net((x - mean) / std)`, answered in the user's units.

    Args:
        net: Takes float32 [batch, *sample_shape], gives float32 [batch, outputs]; a [batch] of
            values is made a column.
        mean: Mean of the training inputs, broadcastable against one sample.
        std: Standard deviation likewise; a spread of zero counts as one.
        target_mean: Mean of the training targets; None for classification.
        target_std: Standard deviation likewise.
    """

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(
        self,
        net: nn.Module,
        mean: ArrayLike,
        std: ArrayLike,
        target_mean: ArrayLike | None = None,
        target_std: ArrayLike | None = None,
    ) -> None:
        statistics = {"mean": as_tensor(mean), "std": as_spread(std)}
        super().__init__(net, target_mean, target_std, **statistics)

    def forward(self, inputs: torch.Tensor) -> Any:
        """Returns float32 [batch, outputs] for float32 [batch, *sample_shape] as prepared."""
        return self.answer(self.net((inputs - self.mean) / self.std))
