"""Reading pictures between their pixels: what rotating, cropping and shifting have in common."""

from __future__ import annotations

from typing import Literal

import numpy as np

Fill = Literal["edge", "zero"]


def resample(inputs: np.ndarray, rows: np.ndarray, columns: np.ndarray, fill: Fill) -> np.ndarray:
    """Returns pictures read at other places, by bilinear interpolation.

    Args:
        inputs: float32, shape (n, channels, height, width).
        rows: Where each output pixel is read, float, shape (n, height, width).
        columns: Likewise across.
        fill: Outside the picture: "edge" repeats the border, "zero" is black.
    """
    height, width = inputs.shape[2:]
    top, left = np.floor(rows), np.floor(columns)
    down, across = rows - top, columns - left
    result = np.zeros_like(inputs)
    for row, row_weight in ((top, 1 - down), (top + 1, down)):
        for column, column_weight in ((left, 1 - across), (left + 1, across)):
            weight = row_weight * column_weight
            if fill == "zero":
                inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
                weight = weight * inside
            result += weight[:, None].astype(np.float32) * _gathered(inputs, row, column)
    return result


def _gathered(inputs: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    count, channels, height, width = inputs.shape
    row = np.clip(rows, 0, height - 1).astype(np.intp)
    column = np.clip(columns, 0, width - 1).astype(np.intp)
    flat = (row * width + column).reshape(count, 1, height * width)
    picked = np.take_along_axis(inputs.reshape(count, channels, height * width), flat, axis=2)
    return picked.reshape(inputs.shape)


def pixel_grid(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns rows (1, height, 1) and columns (1, 1, width) of all pixels, as float."""
    return np.arange(height, dtype=float)[None, :, None], np.arange(width, dtype=float)[None, None]
