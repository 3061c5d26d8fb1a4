"""The wrapper of a network that takes its tensors as they are, whatever their number and type."""

from __future__ import annotations

from typing import Any

import torch
from numpy.typing import ArrayLike
from torch import nn

from workbench.core.module_call import Taken
from workbench.families.network.answering import Answering


class Named(Answering):
    """A network of tensors that are not normalised; see `Answering`.

    Args:
        net: The network.
        inner: Which tensors `net` takes, and how.
        target_mean: Mean of the training targets; None for classification.
        target_std: Standard deviation likewise.
    """

    def __init__(
        self,
        net: nn.Module,
        inner: Taken,
        target_mean: ArrayLike | None = None,
        target_std: ArrayLike | None = None,
    ) -> None:
        super().__init__(net, target_mean, target_std)
        self.inner = inner

    @property
    def takes(self) -> Taken:
        """Which tensors it takes itself: those of the network, in order."""
        return Taken(self.inner.names, by_name=False)

    def forward(self, *tensors: torch.Tensor) -> Any:
        """Returns the scored output, or all by name if there are several.

        Args:
            tensors: Those of `takes`, in order.
        """
        if self.inner.by_name:
            return self.answer(self.net(**dict(zip(self.inner.names, tensors, strict=True))))
        return self.answer(self.net(*tensors))
