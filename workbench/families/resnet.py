"""Residual network in CIFAR style (He et al. 2016, https://arxiv.org/abs/1512.03385, §4.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field, field_validator

from workbench.core.config import Config
from workbench.core.optional import require
from workbench.families._family import Family, image_reason

if TYPE_CHECKING:
    from torch import nn


class ResnetConfig(Config):
    """Options of `resnet`."""

    depth: int = Field(8, ge=8, le=1202, description="Layers, 6n + 2: 8, 14, 20, 32, 44, 56, …")
    width: int = Field(16, ge=1, le=512, description="Channels of the first of three stages.")
    dropout: float = Field(
        0.0, ge=0, lt=1, description="Share of features zeroed before the output."
    )

    @field_validator("depth")
    @classmethod
    def _is_6n_plus_2(cls, depth: int) -> int:
        if (depth - 2) % 6:
            below = depth - (depth - 2) % 6
            raise ValueError(f"should be 6n + 2; the nearest are {below} and {below + 6}")
        return depth


class Resnet(Family):
    """Three stages of n basic blocks, widths w, 2w, 4w, then global average pooling."""

    summary = "Residual network of depth 8, 14, 20, … in CIFAR style; for harder images."
    requires = ("torch",)
    Config = ResnetConfig

    def shape_reason(self, sample_shape: tuple[int, ...]) -> str | None:
        """Images of at least 4×4 pixels fit, with any number of channels."""
        return image_reason("resnet", sample_shape, 4)

    def build(self, config: ResnetConfig, sample_shape: tuple[int, ...], outputs: int) -> nn.Module:
        """Returns the network; images of 64 pixels and more are halved by the stem first."""
        networks = require("workbench.families.network.residual", for_="training")
        network: nn.Module = networks.ResidualNetwork(
            sample_shape,
            outputs,
            blocks=(config.depth - 2) // 6,
            width=config.width,
            dropout=config.dropout,
        )
        return network


PLUGIN = Resnet()
