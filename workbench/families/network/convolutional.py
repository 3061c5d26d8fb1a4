"""A plain convolutional network with batch norm."""

from __future__ import annotations

import torch
from torch import nn

_MOST_WIDENINGS = 3


def convolution(inputs: int, outputs: int, *, stride: int = 1) -> nn.Sequential:
    """Returns 3×3 convolution → batch norm; the norm's shift is the bias."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
    )


class ConvolutionalNetwork(nn.Module):
    """Stages of two convolutions and a pooling, then two affine layers.

    Args:
        sample_shape: (channels, height, width) of one image.
        outputs: Values in one output.
        width: Channels of the first stage; doubled per stage, at most eightfold.
        stages: Number of stages; None halves the image until its shorter side is 2 or 3.
        hidden: Units of the layer before the output.
        dropout: Share of features zeroed in training.
    """

    def __init__(
        self,
        sample_shape: tuple[int, ...],
        outputs: int,
        *,
        width: int,
        stages: int | None,
        hidden: int,
        dropout: float,
    ) -> None:
        super().__init__()
        channels, height, width_px = sample_shape
        features: list[nn.Module] = []
        for stage in range(_stage_count(min(height, width_px), stages)):
            wide = width * 2 ** min(stage, _MOST_WIDENINGS)
            features += [convolution(channels, wide), nn.ReLU()]
            features += [convolution(wide, wide), nn.ReLU()]
            if min(height, width_px) >= 2:
                features.append(nn.MaxPool2d(2))
                height, width_px = height // 2, width_px // 2
            channels = wide
        self.features = nn.Sequential(*features)
        self.head = nn.Sequential(
            nn.Flatten(),
            nn.Dropout(dropout),
            nn.Linear(channels * height * width_px, hidden),
            nn.ReLU(),
            nn.Linear(hidden, outputs),
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Returns [batch, outputs] for normalised float32 images [batch, channels, h, w]."""
        return self.head(self.features(images))  # type: ignore[no-any-return]


def _stage_count(side: int, stages: int | None) -> int:
    if stages is not None:
        return stages
    return max(1, side.bit_length() - 2)
