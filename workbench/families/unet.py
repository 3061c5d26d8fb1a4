"""U-Net (Ronneberger, Fischer and Brox 2015, https://arxiv.org/abs/1505.04597)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from workbench.core.config import Config
from workbench.core.optional import require
from workbench.families._family import Family, image_reason

if TYPE_CHECKING:
    from torch import nn

_SMALLEST_PX = 4


class UnetConfig(Config):
    """Options of `unet`."""

    width: int = Field(16, ge=1, le=512, description="Channels of the first stage.")
    depth: int = Field(
        2, ge=1, le=6, description="Times the picture is halved; each doubles the channels."
    )
    dropout: float = Field(
        0.0, ge=0, lt=1, description="Share of channels zeroed at the narrowest place."
    )


class Unet(Family):
    """Halves the picture and doubles it again, with what was seen at each size carried over."""

    summary = "U-Net: a class or value at every place of a picture."
    requires = ("torch",)
    form = "places"
    Config = UnetConfig

    def shape_reason(self, sample_shape: tuple[int, ...]) -> str | None:
        """Images of at least 4×4 pixels fit, with any number of channels."""
        return image_reason("unet", sample_shape, _SMALLEST_PX)

    def build(self, config: UnetConfig, sample_shape: tuple[int, ...], outputs: int) -> nn.Module:
        """Returns the network; halving stops before a side would be shorter than 2 pixels."""
        networks = require("workbench.families.network.unet", for_="training")
        network: nn.Module = networks.UNetwork(
            sample_shape, outputs, width=config.width, depth=config.depth, dropout=config.dropout
        )
        return network


PLUGIN = Unet()
