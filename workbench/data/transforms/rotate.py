"""Rotate: each picture turns about its middle by up to some degrees."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from workbench.core.config import Config
from workbench.data.resampling import Fill, pixel_grid, resample
from workbench.data.transform import Transform


class RotateConfig(Config):
    """How far."""

    degrees: float = Field(default=10.0, ge=0, le=180, description="Largest angle, either way.")
    fill: Fill = Field(default="edge", description="What comes in: the border repeated, or zero.")


class Rotate(Transform):
    """Angles uniformly drawn, pixels interpolated."""

    summary = "Turns pictures by up to some degrees"
    Config = RotateConfig

    def apply(
        self, inputs: np.ndarray, rng: np.random.Generator, config: RotateConfig
    ) -> np.ndarray:
        """Returns the pictures turned, each by its own draw."""
        count, _, height, width = inputs.shape
        angle = np.radians(rng.uniform(-config.degrees, config.degrees, (count, 1, 1)))
        rows, columns = pixel_grid(height, width)
        middle = ((height - 1) / 2, (width - 1) / 2)
        rows, columns = rows - middle[0], columns - middle[1]
        return resample(
            inputs,
            np.cos(angle) * rows - np.sin(angle) * columns + middle[0],
            np.sin(angle) * rows + np.cos(angle) * columns + middle[1],
            config.fill,
        )


PLUGIN = Rotate()
