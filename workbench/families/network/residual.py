"""Residual network in CIFAR style (He et al. 2016, https://arxiv.org/abs/1512.03385, §4.2)."""

from __future__ import annotations

import torch
from torch import nn

from workbench.families.network.convolutional import convolution

_LARGE_PX = 64
_VERY_LARGE_PX = 128


class BasicBlock(nn.Module):
    """Two 3×3 convolutions beside a shortcut; 1×1 projection where the shape changes."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = convolution(inputs, outputs, stride=stride)
        self.second = convolution(outputs, outputs)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False), nn.BatchNorm2d(outputs)
            )
        self.relu = nn.ReLU()

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Returns relu(second(relu(first(x))) + shortcut(x))."""
        inner = self.second(self.relu(self.first(features)))
        return self.relu(inner + self.shortcut(features))  # type: ignore[no-any-return]


class ResidualNetwork(nn.Module):
    """Stem, three stages of `blocks` basic blocks, global average pooling, one affine layer.

    Args:
        sample_shape: (channels, height, width) of one image.
        outputs: Values in one output.
        blocks: Blocks per stage; the depth is 6 · blocks + 2.
        width: Channels of the first stage; the others have twice and four times as many.
        dropout: Share of features zeroed before the output.
    """

    def __init__(
        self,
        sample_shape: tuple[int, ...],
        outputs: int,
        *,
        blocks: int,
        width: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.stem = _stem(sample_shape, width)
        stages: list[nn.Module] = []
        channels = width
        for stage, wide in enumerate((width, 2 * width, 4 * width)):
            for block in range(blocks):
                stride = 2 if stage > 0 and block == 0 else 1
                stages.append(BasicBlock(channels, wide, stride))
                channels = wide
        self.stages = nn.Sequential(*stages)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Sequential(nn.Flatten(), nn.Dropout(dropout), nn.Linear(channels, outputs))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Returns [batch, outputs] for normalised float32 images [batch, channels, h, w]."""
        return self.head(self.pool(self.stages(self.stem(images))))  # type: ignore[no-any-return]


def _stem(sample_shape: tuple[int, ...], width: int) -> nn.Sequential:
    """3×3 convolution; large images are first halved once or twice, as cost grows with area."""
    side = min(sample_shape[1:])
    stem = convolution(sample_shape[0], width, stride=2 if side >= _LARGE_PX else 1)
    stem.append(nn.ReLU())
    if side >= _VERY_LARGE_PX:
        stem.append(nn.MaxPool2d(2))
    return stem
