"""Magnitude pruning: the smallest weights become zero (Han et al. 2015, arXiv:1506.02626)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from workbench.compression.method import WeightMethod, Weights
from workbench.core.config import Config
from workbench.core.lazy import lazy

if TYPE_CHECKING:
    import numpy as np
else:
    np = lazy("numpy")


class PruneConfig(Config):
    """Options of `prune`."""

    amount: float = Field(gt=0, lt=1, description="Fraction of the weights removed, 0.5 = half")
    scope: Literal["global", "layer"] = Field(
        "global", description="Remove that fraction of all layers together, or of each layer"
    )


class Prune(WeightMethod):
    """See the module's docstring."""

    summary = "sets the smallest weights to zero; saves stored bytes, not file bytes or time"
    Config = PruneConfig

    def change_weights(self, weights: Weights, config: PruneConfig) -> Weights:
        """Zeroes the `amount` of weights with the smallest magnitude; ties by position."""
        if config.scope == "layer":
            return {name: _kept(value, config.amount) for name, value in weights.items()}
        flat = np.concatenate([value.ravel() for value in weights.values()])
        pruned = _kept(flat, config.amount)
        cuts = np.cumsum([value.size for value in weights.values()])[:-1]
        parts = np.split(pruned, cuts)
        return {
            name: part.reshape(value.shape)
            for (name, value), part in zip(weights.items(), parts, strict=True)
        }


def _kept(value: np.ndarray, amount: float) -> np.ndarray:
    flat = value.copy().ravel()
    count = round(amount * flat.size)
    if count:
        sizes = np.abs(flat)
        last = np.partition(sizes, count - 1)[count - 1]
        smaller = sizes < last
        equal = np.flatnonzero(sizes == last)[: count - int(smaller.sum())]
        flat[smaller] = 0.0
        flat[equal] = 0.0
    return flat.reshape(value.shape)


PLUGIN = Prune()
