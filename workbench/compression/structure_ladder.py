"""What is expected of recipes that change the structure first: from those measured so far.

Nothing can be computed of a network that was never trained. But what it loses grows with what is
removed, shrinks with the training after it, and adds to what the treatment loses. So a few measured
networks say what the others will do: a Gaussian process on (share of the channels removed,
logarithm of the effort) around that guess, on the scale of asinh (Rasmussen and Williams 2006,
ch. 2). NumPy only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from workbench.compression.restructuring import Structure

_PRIOR_DROP, _PRIOR_POWER, _PRIOR_EFFORT = 12.0, 3.0, -0.75
_COMMON, _LOCAL, _NOISE = 0.5, 0.6, 0.15
_LENGTH_REMOVED, _LENGTH_EFFORT = 0.15, 3.0
_UNIT = 0.5
_LATENCY_POWER = 0.35


@dataclass(frozen=True)
class Rung:
    """One measurement of a restructured network.

    Attributes:
        structure: What was done to it.
        drop: What the structure alone lost, in points.
        ratio: The measured cost over the one that was expected.
    """

    structure: Structure
    drop: float
    ratio: float = 1.0


class Ladder:
    """See the module's docstring.

    Args:
        rungs: What was measured; of one network there may be several.
    """

    def __init__(self, rungs: list[Rung]) -> None:
        by_key: dict[str, list[Rung]] = {}
        for rung in rungs:
            by_key.setdefault(rung.structure.key, []).append(rung)
        self._same = by_key
        own = [same[0].structure for same in by_key.values()]
        self._places = np.array([_place(item) for item in own]).reshape(len(own), 2)
        left = [float(np.median([_left(rung) for rung in same])) for same in by_key.values()]
        self._inverse = np.linalg.inv(
            _covariance(self._places, self._places) + _NOISE**2 * np.eye(len(own))
        )
        self._alpha = self._inverse @ np.array(left)
        ratios = [float(np.log(rung.ratio)) for rung in rungs]
        self._ratio = float(np.exp(np.median(ratios))) if ratios else 1.0

    def ratio(self, structure: Structure) -> float:
        """Returns by how much the expected cost is to be corrected."""
        same = self._same.get(structure.key)
        if same:
            return float(np.exp(np.median([np.log(rung.ratio) for rung in same])))
        return self._ratio

    def drop(self, structure: Structure) -> tuple[float, float]:
        """Returns the expected loss in points, and its spread on the scale of asinh."""
        same = self._same.get(structure.key)
        if same:
            drops = np.array([rung.drop for rung in same])
            return float(np.median(drops)), _scatter_of(drops)
        cross = _covariance(np.array([_place(structure)]), self._places)[0]
        center = _prior(structure) + float(cross @ self._alpha)
        variance = _COMMON**2 + _LOCAL**2 - float(cross @ self._inverse @ cross)
        return _UNIT * float(np.sinh(center)), float(np.sqrt(max(variance, 0.0) + _NOISE**2))


def latency_share(structure: Structure) -> float:
    """Returns the guessed latency over that without the structure."""
    return float(structure.kept**_LATENCY_POWER)


def _scatter_of(drops: np.ndarray) -> float:
    """Returns how far, on the scale of asinh, one more recipe of that network may lie."""
    found = float(np.std(np.arcsinh(drops / _UNIT)))
    weight = len(drops) / (len(drops) + 2.0)
    return float(np.hypot(weight * found, (1 - weight) * 2 * _NOISE))


def _left(rung: Rung) -> float:
    return float(np.arcsinh(rung.drop / _UNIT)) - _prior(rung.structure)


def _prior(structure: Structure) -> float:
    removed, _ = _place(structure)
    drop = _PRIOR_DROP * removed**_PRIOR_POWER * structure.effort**_PRIOR_EFFORT
    return float(np.arcsinh(drop / _UNIT))


def _place(structure: Structure) -> tuple[float, float]:
    """Returns the share of channels removed and the logarithm of the effort."""
    return 1 - float(np.sqrt(structure.kept)), float(np.log(max(structure.effort, 0.05)))


def _covariance(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    far = (first[:, None] - second) / np.array([_LENGTH_REMOVED, _LENGTH_EFFORT])
    return np.asarray(_COMMON**2 + _LOCAL**2 * np.exp(-0.5 * (far**2).sum(axis=2)))
