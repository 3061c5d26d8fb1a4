"""Linear and logistic regression: one affine layer."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from pydantic import Field

from workbench.core.config import Config
from workbench.core.optional import require
from workbench.families._family import Family, size_reason

if TYPE_CHECKING:
    from torch import nn


class LinearConfig(Config):
    """Options of `linear`."""

    dropout: float = Field(0.0, ge=0, lt=1, description="Share of inputs zeroed in training.")


class Linear(Family):
    """Flattens the sample and applies one affine layer with a bias."""

    summary = "Linear or logistic regression: the baseline every other model must beat."
    requires = ("torch",)
    rate = 2e-2
    Config = LinearConfig

    def shape_reason(self, sample_shape: tuple[int, ...]) -> str | None:
        """Any shape that holds a value fits."""
        return size_reason(sample_shape)

    def build(self, config: LinearConfig, sample_shape: tuple[int, ...], outputs: int) -> nn.Module:
        """Returns flatten → (dropout) → affine."""
        networks = require("workbench.families.network.dense", for_="training")
        network: nn.Module = networks.dense(
            math.prod(sample_shape), (), outputs, dropout=config.dropout
        )
        return network


PLUGIN = Linear()
