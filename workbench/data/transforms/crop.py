"""Crop: a random part of each picture, brought back to full size."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from workbench.core.config import Config
from workbench.data.resampling import pixel_grid, resample
from workbench.data.transform import Transform


class CropConfig(Config):
    """How small."""

    smallest: float = Field(
        default=0.8, gt=0, le=1, description="Smallest side kept, as a fraction."
    )


class Crop(Transform):
    """Side length and place uniformly drawn, the shape of the picture kept."""

    summary = "Zooms into a random part of each picture"
    Config = CropConfig

    def apply(self, inputs: np.ndarray, rng: np.random.Generator, config: CropConfig) -> np.ndarray:
        """Returns the crops, each by its own draw."""
        count, _, height, width = inputs.shape
        side = rng.uniform(config.smallest, 1, (count, 1, 1))
        start = rng.uniform(0, 1, (2, count, 1, 1)) * (1 - side)
        rows, columns = pixel_grid(height, width)
        shape = (count, height, width)
        return resample(
            inputs,
            np.broadcast_to(rows * side + start[0] * (height - 1), shape),
            np.broadcast_to(columns * side + start[1] * (width - 1), shape),
            "edge",
        )


PLUGIN = Crop()
