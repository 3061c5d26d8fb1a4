"""Convolutional network: the first choice for small images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from workbench.core.config import Config
from workbench.core.optional import require
from workbench.families._family import Family, image_reason

if TYPE_CHECKING:
    from torch import nn


class CnnConfig(Config):
    """Options of `cnn`."""

    width: int = Field(16, ge=1, le=1024, description="Channels of the first stage.")
    stages: int | None = Field(
        None,
        ge=1,
        le=8,
        description="Stages, each halving the image; by default until it is about 2×2.",
    )
    hidden: int = Field(64, ge=1, le=8192, description="Units of the layer before the output.")
    dropout: float = Field(
        0.1, ge=0, lt=1, description="Share of features zeroed in training, before the last layers."
    )


class Cnn(Family):
    """Stages of (convolution → batch norm → ReLU) × 2 → max pooling, then two affine layers."""

    summary = "Convolutional network with batch norm; trains in seconds on small images."
    requires = ("torch",)
    Config = CnnConfig

    def shape_reason(self, sample_shape: tuple[int, ...]) -> str | None:
        """Images of at least 4×4 pixels fit, with any number of channels."""
        return image_reason("cnn", sample_shape, 4)

    def build(self, config: CnnConfig, sample_shape: tuple[int, ...], outputs: int) -> nn.Module:
        """Returns the network; the flattened size is computed from `sample_shape`."""
        networks = require("workbench.families.network.convolutional", for_="training")
        network: nn.Module = networks.ConvolutionalNetwork(
            sample_shape,
            outputs,
            width=config.width,
            stages=config.stages,
            hidden=config.hidden,
            dropout=config.dropout,
        )
        return network


PLUGIN = Cnn()
