"""What is expected of recipes that change the structure first: from those measured so far.

Nothing can be computed of a network that was never trained. But its file shrinks by the same share
whatever is done to it afterwards, and what it loses adds to what the treatment loses; both grow
with the amount removed. So a few measured amounts say what the others will do. NumPy only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_PRIOR_DROP, _PRIOR_POWER = 12.0, 3.0
_PRIOR_SIZE = 1.6
_SPREAD_NEAR, _SPREAD_FAR = 0.35, 4.0
_MOST_SPREAD, _LEAST_SPREAD = 1.6, 0.08
_ENOUGH, _UNIT = 3, 0.5


@dataclass(frozen=True)
class Rung:
    """One measured structure.

    Attributes:
        amount: Share of channels removed.
        shrink: Logarithm of the file's size over that of the same treatment without it.
        drop: What the structure alone lost, in points.
    """

    amount: float
    shrink: float
    drop: float


class Ladder:
    """See the module's docstring.

    Args:
        rungs: What was measured; of one amount there may be several.
    """

    def __init__(self, rungs: list[Rung]) -> None:
        amounts = sorted({rung.amount for rung in rungs})
        self._amounts = np.array(amounts)
        at = [[rung for rung in rungs if rung.amount == amount] for amount in amounts]
        self._powers = np.array(
            [np.mean([r.shrink / np.log1p(-r.amount) for r in same]) for same in at]
        )
        self._factors = np.array(
            [np.mean([r.drop for r in same]) / _prior(same[0].amount) for same in at]
        )
        self._scatter = np.array([_scatter_of([r.drop for r in same]) for same in at])

    def shrink(self, amount: float) -> float:
        """Returns the file's expected size over that without the structure."""
        power = _PRIOR_SIZE
        if len(self._amounts):
            power = float(np.interp(amount, self._amounts, self._powers))
        return float((1 - amount) ** power)

    def drop(self, amount: float) -> tuple[float, float]:
        """Returns the expected loss in points, and its spread on the scale of asinh."""
        if not len(self._amounts):
            return _prior(amount), _MOST_SPREAD
        factor = float(np.interp(amount, self._amounts, self._factors))
        distances = np.abs(self._amounts - amount)
        near = int(distances.argmin())
        spread = float(self._scatter[near]) + _SPREAD_FAR * float(distances[near])
        return factor * _prior(amount), min(spread, _MOST_SPREAD)


def _scatter_of(drops: list[float]) -> float:
    """Returns how far, on the scale of asinh, one more recipe of that structure may lie."""
    if len(drops) < _ENOUGH:
        return _SPREAD_NEAR
    return max(float(np.std(np.arcsinh(np.array(drops) / _UNIT))), _LEAST_SPREAD)


def _prior(amount: float) -> float:
    return float(_PRIOR_DROP * amount**_PRIOR_POWER)
