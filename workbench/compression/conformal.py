"""Split conformal bands: how wide an estimate must be to hold as often as it says.

Residuals of points that were predicted without them, each divided by what the model thought its
error to be (Lei et al. 2018, arXiv:1604.04173, §5.2). NumPy only.
"""

from __future__ import annotations

import math

import numpy as np

LEVEL = 0.9
_FEW = 5
_WITHOUT_POINTS = 4.0
_LEAST = 2.0  # looks are spread over all strengths, and the middle ones that are asked err most
_CAUTION = 1.15  # the model was chosen on the very points that judge it, so they flatter it


def width(residuals: np.ndarray, spreads: np.ndarray, level: float = LEVEL) -> float:
    """Returns how many standard deviations hold a share `level` of new points.

    Args:
        residuals: Of points predicted without them [n].
        spreads: The standard deviation claimed for each [n].
        level: Share of new points inside.
    """
    count = len(residuals)
    if count < _FEW:
        return _WITHOUT_POINTS
    ratios = np.sort(np.abs(residuals) / spreads)
    rank = math.ceil((count + 1) * level)
    found = float(ratios[-1] if rank > count else ratios[rank - 1])
    return _CAUTION * max(found, _LEAST)
