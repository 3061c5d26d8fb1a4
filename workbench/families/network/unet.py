"""A U-Net: down, up, and across."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from workbench.families.network.convolutional import convolution

_SHORTEST_PX = 4


class UNetwork(nn.Module):
    """Stages of two convolutions, halving on the way down and doubling on the way up.

    Args:
        sample_shape: (channels, height, width) of one image.
        outputs: Channels of the answer.
        width: Channels of the first stage; doubled per halving.
        depth: Halvings, fewer for small pictures.
        dropout: Share of channels zeroed at the narrowest place.
    """

    def __init__(
        self, sample_shape: tuple[int, ...], outputs: int, *, width: int, depth: int, dropout: float
    ) -> None:
        super().__init__()
        channels, *sides = sample_shape
        wide = [width * 2**stage for stage in range(1 + _halvings(min(sides), depth))]
        inputs = [channels, *wide[:-1]]
        self.down = nn.ModuleList(_stage(a, b) for a, b in zip(inputs, wide, strict=True))
        self.up = nn.ModuleList(
            _stage(below + here, here)
            for here, below in zip(reversed(wide[:-1]), reversed(wide[1:]), strict=True)
        )
        self.dropout = nn.Dropout2d(dropout)
        self.head = nn.Conv2d(width, outputs, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Returns [batch, outputs, h, w] for normalised float32 images [batch, channels, h, w]."""
        seen: list[torch.Tensor] = []
        features = images
        for stage in self.down:
            features = stage(functional.max_pool2d(features, 2) if seen else features)
            seen.append(features)
        features = self.dropout(seen.pop())
        for stage in self.up:
            beside = seen.pop()
            larger = functional.interpolate(features, size=beside.shape[-2:], mode="nearest")
            features = stage(torch.cat([larger, beside], dim=1))
        return self.head(features)  # type: ignore[no-any-return]


def _stage(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        convolution(inputs, outputs), nn.ReLU(), convolution(outputs, outputs), nn.ReLU()
    )


def _halvings(side: int, depth: int) -> int:
    """Returns how often a picture can be halved without a side below 2 pixels."""
    return min(depth, max(0, (side // _SHORTEST_PX).bit_length()))
