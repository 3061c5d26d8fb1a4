from __future__ import annotations

import numpy as np

from workbench.data.resampling import pixel_grid, resample


def test_reading_between_pixels():
    picture = np.arange(12, dtype=np.float32).reshape(1, 1, 3, 4)
    rows, columns = pixel_grid(3, 4)
    half = resample(picture, np.broadcast_to(rows, (1, 3, 4)), columns + 0.5 + 0 * rows, "edge")
    assert half[0, 0, 0].tolist() == [0.5, 1.5, 2.5, 3]
