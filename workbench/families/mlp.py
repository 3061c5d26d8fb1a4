"""Multi-layer perceptron: for tables, and for images too small for convolutions."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

from pydantic import Field, PositiveInt

from workbench.core.config import Config
from workbench.core.optional import require
from workbench.families._family import Family, size_reason

if TYPE_CHECKING:
    from torch import nn


class MlpConfig(Config):
    """Options of `mlp`."""

    hidden: tuple[PositiveInt, ...] = Field(
        (128, 64), min_length=1, description="Sizes of the hidden layers, first to last."
    )
    activation: Literal["relu", "gelu", "tanh"] = Field(
        "relu", description="Non-linearity after each hidden layer."
    )
    dropout: float = Field(0.0, ge=0, lt=1, description="Share of hidden units zeroed in training.")


class Mlp(Family):
    """Flattens the sample and applies affine layers with a non-linearity between them."""

    summary = "Multi-layer perceptron: hidden layers of any number and size, for tables or images."
    requires = ("torch",)
    rate = 5e-3
    Config = MlpConfig

    def shape_reason(self, sample_shape: tuple[int, ...]) -> str | None:
        """Any shape that holds a value fits."""
        return size_reason(sample_shape)

    def build(self, config: MlpConfig, sample_shape: tuple[int, ...], outputs: int) -> nn.Module:
        """Returns flatten → (affine → activation → dropout) per hidden layer → affine."""
        networks = require("workbench.families.network.dense", for_="training")
        network: nn.Module = networks.dense(
            math.prod(sample_shape),
            config.hidden,
            outputs,
            dropout=config.dropout,
            activation=config.activation,
        )
        return network


PLUGIN = Mlp()
