"""From located recipes to drops of the score with a band, by what was seen and measured so far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from workbench.compression import conformal
from workbench.compression.locate import Located
from workbench.compression.score_map import Points, ScoreMap, unsquash

STRANGE, _FIRST = 1.6, 1.5
BELOW_CHANCE = 1.15


@dataclass(frozen=True)
class Known:
    """A drop that is known.

    Attributes:
        located: The recipe.
        drop: In points.
        noise: Its standard error, in points; 0 if found on all samples that count.
    """

    located: Located
    drop: float
    noise: float


class DropModel:
    """See the module's docstring.

    Args:
        known: What was seen and measured.
        most: The drop to chance, in points.
        sizes: How many numbers a place has.
    """

    def __init__(self, known: Sequence[Known], most: float, sizes: int) -> None:
        self.kinds = {kind for item in known for kind in item.located.kinds}
        points = _points([item for item in known if len(item.located.rows)], most, sizes)
        self.map = ScoreMap(most, points)
        self.width = conformal.width(*self.map.left_out())

    @property
    def worst(self) -> float:
        """A drop to a little below chance, in points: none is said to be larger."""
        return self.map.most * BELOW_CHANCE

    def drop(self, located: Located) -> tuple[float, float, float]:
        """Returns the drop in points, and the ends of its band."""
        center, spread = self.map.predict(located.score, located.place)
        half = self.width * spread * (_FIRST if located.is_first else 1.0)
        if located.kinds - self.kinds:
            half *= STRANGE
        value, low, high = unsquash(center), unsquash(center - half), unsquash(center + half)
        return min(value, self.worst), low, min(high, self.worst)


def _points(known: Sequence[Known], most: float, sizes: int) -> Points:
    places = [item.located.place for item in known]
    return Points(
        np.array([item.located.score for item in known]),
        np.array(places).reshape(len(known), sizes),
        np.clip([item.drop for item in known], None, most),
        np.array([item.noise for item in known]),
    )
