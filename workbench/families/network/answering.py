"""The base of a network's wrappers: its scored output in the user's units, first and named."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import nn

from workbench.core.module_call import OUTPUT, named_outputs

_SMALLEST_SPREAD = 1e-6


class Answering(nn.Module):
    """A network that answers; its wrappers say how its inputs go in.

    For regression its scored output becomes `· target_std + target_mean`, so that the network
    learns standardised targets but answers in the user's units. The statistics are buffers: saved
    with the weights and exported with the graph, never trained.

    Args:
        net: Gives [batch, outputs], or several tensors; a [batch] of values is made a column.
        target_mean: Mean of the training targets; None for classification.
        target_std: Standard deviation likewise; a spread of zero counts as one.
        buffers: Further statistics.

    Attributes:
        pruning_history: Channels removed so far, as torch-pruning records them, with module names
            relative to this wrapper; saved with the network and replayed when it is loaded.
    """

    target_mean: torch.Tensor | None
    target_std: torch.Tensor | None

    def __init__(
        self,
        net: nn.Module,
        target_mean: ArrayLike | None = None,
        target_std: ArrayLike | None = None,
        **buffers: torch.Tensor,
    ) -> None:
        super().__init__()
        self.net = net
        for name, value in buffers.items():
            self.register_buffer(name, value)
        self.register_buffer("target_mean", None if target_mean is None else as_tensor(target_mean))
        self.register_buffer("target_std", None if target_std is None else as_spread(target_std))
        self.pruning_history: list[Any] = []

    def answer(self, outputs: Any) -> Any:
        """Returns what the network gave with the scored output in the user's units."""
        if isinstance(outputs, torch.Tensor):
            return self._in_units(outputs)
        found = named_outputs(outputs)
        found[OUTPUT] = self._in_units(found[OUTPUT])
        return found if len(found) > 1 else found[OUTPUT]

    def _in_units(self, outputs: torch.Tensor) -> torch.Tensor:
        if outputs.ndim == 1:
            outputs = outputs[:, None]
        if self.target_mean is None or self.target_std is None:
            return outputs
        return outputs * self.target_std + self.target_mean


def as_tensor(values: ArrayLike) -> torch.Tensor:
    """Returns statistics as float32."""
    return torch.from_numpy(np.array(values, dtype=np.float32))


def as_spread(values: ArrayLike) -> torch.Tensor:
    """Returns deviations as float32; one of zero is one."""
    spread = as_tensor(values)
    return torch.where(spread.abs() < _SMALLEST_SPREAD, torch.ones_like(spread), spread)
