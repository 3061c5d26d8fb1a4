"""Shift: each picture moves by up to some pixels along each axis."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from workbench.core.config import Config
from workbench.data.resampling import Fill, pixel_grid, resample
from workbench.data.transform import Transform


class ShiftConfig(Config):
    """How far."""

    pixels: int = Field(default=1, ge=0, le=64, description="Most pixels along each axis.")
    fill: Fill = Field(default="edge", description="What comes in: the border repeated, or zero.")


class Shift(Transform):
    """Whole pixels, uniformly drawn."""

    summary = "Moves pictures by up to some pixels"
    Config = ShiftConfig

    def apply(
        self, inputs: np.ndarray, rng: np.random.Generator, config: ShiftConfig
    ) -> np.ndarray:
        """Returns the pictures shifted, each by its own draw."""
        count, _, height, width = inputs.shape
        moves = rng.integers(-config.pixels, config.pixels, (2, count, 1, 1), endpoint=True)
        rows, columns = pixel_grid(height, width)
        shape = (count, height, width)
        return resample(
            inputs,
            np.broadcast_to(rows + moves[0], shape),
            np.broadcast_to(columns + moves[1], shape),
            config.fill,
        )


PLUGIN = Shift()
