"""Int8 rounding in the forward pass of a torch network, for training with it. Imports torch.

The grids are those that ONNX Runtime's QDQ quantizer writes: weights symmetric in int8 with a scale
for each output channel, activations asymmetric in uint8 with one scale and zero in the range.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd
from torch.nn.utils import parametrize

_LEVELS = 255
_MOST, _MOST_REDUCED = 127, 64
_MOMENTUM = 0.05


@contextmanager
def rounded(
    module: nn.Module, names: Iterable[str], *, reduce_range: bool = False
) -> Iterator[None]:
    """Rounds weights and inputs of the named layers inside the block; float weights stay after it.

    Args:
        module: Changed in place for the block.
        names: Convolutions and affine layers; others are left alone.
        reduce_range: Weights in 7 bits.
    """
    parts = dict(module.named_modules())
    layers = [parts[name] for name in names if isinstance(parts.get(name), nn.Linear | _ConvNd)]
    hooks = [layer.register_forward_pre_hook(RoundedInput()) for layer in layers]
    for layer in layers:
        rounding = RoundedWeight(_axis(layer), _MOST_REDUCED if reduce_range else _MOST)
        parametrize.register_parametrization(layer, "weight", rounding)
    try:
        yield
    finally:
        for layer in layers:
            parametrize.remove_parametrizations(layer, "weight", leave_parametrized=False)
        for hook in hooks:
            hook.remove()


class RoundedWeight(nn.Module):
    """Symmetric rounding with one scale an output channel.

    Args:
        axis: Of the output channels.
        most: Largest integer.
    """

    def __init__(self, axis: int, most: int) -> None:
        super().__init__()
        self._axis, self._most = axis, most

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        """Returns float32 values on the grid, in the shape of `weight`."""
        others = [axis for axis in range(weight.ndim) if axis != self._axis]
        limit = weight.detach().abs().amax(dim=others)
        scale = (limit / self._most).clamp_min(torch.finfo(weight.dtype).tiny)
        zero = torch.zeros_like(scale, dtype=torch.int32)
        return torch.fake_quantize_per_channel_affine(
            weight, scale, zero, self._axis, -self._most, self._most
        )


class RoundedInput:
    """A forward pre-hook: asymmetric rounding, with a range that follows the training batches.

    Attributes:
        low: Lowest value, a moving average; at most 0.
        high: Highest value likewise; at least 0.
    """

    def __init__(self) -> None:
        self.low: float | None = None
        self.high = 0.0

    def __call__(self, module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        """Returns the layer's inputs, the first one rounded."""
        value = inputs[0]
        if module.training or self.low is None:
            self._follow(value.detach())
        scale = max((self.high - (self.low or 0.0)) / _LEVELS, torch.finfo(value.dtype).tiny)
        zero = round(-(self.low or 0.0) / scale)
        grid = torch.fake_quantize_per_tensor_affine(value, scale, zero, 0, _LEVELS)
        return (grid, *inputs[1:])

    def _follow(self, value: torch.Tensor) -> None:
        low, high = min(float(value.min()), 0.0), max(float(value.max()), 0.0)
        if self.low is None:
            self.low, self.high = low, high
        else:
            self.low += _MOMENTUM * (low - self.low)
            self.high += _MOMENTUM * (high - self.high)


def _axis(layer: nn.Module) -> int:
    return 1 if isinstance(layer, _ConvTransposeNd) else 0
