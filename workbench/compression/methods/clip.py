"""Weight clipping: outliers are cut, so that the grid of a later quantization is finer.

"mse" chooses each output channel's threshold so that the squared error of symmetric integers is
smallest (Banner et al. 2019, arXiv:1810.05723, by search instead of a fitted distribution).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from workbench.compression.method import WeightMethod, Weights
from workbench.core.config import Config
from workbench.core.lazy import lazy

if TYPE_CHECKING:
    import numpy as np
else:
    np = lazy("numpy")

_SMALLEST_SHARE, _SHARES = 0.3, 71


class ClipConfig(Config):
    """Options of `clip`."""

    at: Literal["mse"] | Annotated[float, Field(ge=50, lt=100)] = Field(
        description="Percentile of each layer's magnitudes (50 to below 100), or 'mse'"
    )
    bits: int = Field(8, ge=2, le=8, description="For 'mse': bits of the later quantization")


class Clip(WeightMethod):
    """See the module's docstring."""

    summary = "cuts outlying weights at a percentile or where int8 error is smallest"
    Config = ClipConfig

    def change_weights(self, weights: Weights, config: ClipConfig) -> Weights:
        """Clips each layer, or for 'mse' each output channel (axis 0), to ± its threshold."""
        if config.at == "mse":
            return {name: _clipped_by_mse(value, config.bits) for name, value in weights.items()}
        return {
            name: _clipped(value, float(np.percentile(np.abs(value), config.at)))
            for name, value in weights.items()
        }


def _clipped(value: np.ndarray, threshold: float | np.ndarray) -> np.ndarray:
    return np.asarray(np.clip(value, -threshold, threshold), value.dtype)


def _clipped_by_mse(value: np.ndarray, bits: int) -> np.ndarray:
    rows = value.reshape(len(value), -1)
    limit = np.abs(rows).max(axis=1, keepdims=True)
    levels = 2 ** (bits - 1) - 1
    best, chosen = np.full((len(rows), 1), np.inf), limit
    for share in np.linspace(_SMALLEST_SHARE, 1.0, _SHARES):
        threshold = limit * share
        scale = np.where(threshold > 0, threshold / levels, 1.0)
        rounded = np.clip(np.rint(rows / scale), -levels, levels) * scale
        error = ((rounded - rows) ** 2).sum(axis=1, keepdims=True)
        better = error < best
        best, chosen = np.where(better, error, best), np.where(better, threshold, chosen)
    return _clipped(rows, chosen).reshape(value.shape)


PLUGIN = Clip()
