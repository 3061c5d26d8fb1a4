"""A module whose tensors go in and out in order, as ONNX has them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from workbench.core.module_call import call, named_outputs


class InOrder(nn.Module):
    """Gives a module its tensors, by name where it has names, and returns all it gave as a tuple.

    Args:
        module: Anyone's.
        names: Of the tensors, in the order in which they come; None for a single one.
    """

    prefix = "module."

    def __init__(self, module: nn.Module, names: Sequence[str] | None) -> None:
        super().__init__()
        self.module = module
        self._names = names

    def forward(self, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Returns the scored output first, then the others."""
        if self._names is None:
            return tuple(named_outputs(call(self.module, tensors[0])).values())
        inputs = dict(zip(self._names, tensors, strict=True))
        return tuple(named_outputs(call(self.module, inputs)).values())
