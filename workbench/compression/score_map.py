"""From a sensitivity score to a drop of the score, and what points already known say of it.

Two parameters saturate at chance: drop = most·(1 − exp(−(q/q₀)^γ)). What points measured on all
samples leave over follows a Gaussian process with fixed hyper-parameters on (log q, shares of
methods); quick looks share their samples' luck, so they only place the curve. Residuals are in
asinh(drop / 0.5 points), where small drops and collapses weigh alike. NumPy only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

_UNIT = 0.5
_AMPLITUDE, _MODEL_NOISE = 0.6, 0.12
_LENGTH_LOG, _LENGTH_SHARE = 1.2, 0.6
_TRUSTED = 0.3
_PRIOR = (1.0, 1.1)
_PRIOR_WEIGHT = 0.05


def squash(drop: np.ndarray | float) -> np.ndarray:
    """Returns asinh(drop / 0.5) for a drop in points."""
    return np.asarray(np.arcsinh(np.asarray(drop) / _UNIT))


def unsquash(value: float) -> float:
    """Returns the drop in points."""
    return _UNIT * math.sinh(value)


@dataclass(frozen=True)
class Points:
    """Known drops.

    Attributes:
        scores: Sensitivity scores [n].
        shares: Share of the weights that each method treats [n, methods].
        drops: In points [n].
        samples: On how many samples each was found [n]; 0 where on the very ones that count.
    """

    scores: np.ndarray
    shares: np.ndarray
    drops: np.ndarray
    samples: np.ndarray


class ScoreMap:
    """See the module's docstring.

    Args:
        most: The drop to chance, in points.
        points: What is known; may be empty.
        error: Baseline's share of errors; the noise of a drop on few samples follows from it.
    """

    def __init__(self, most: float, points: Points, error: float = 0.02) -> None:
        self.most = max(most, 1.0)
        self._error = error
        self._points = points
        self.log_start, self.power = self._fit(np.log(points.scores), squash(points.drops))
        self._train()

    def curve(self, scores: np.ndarray) -> np.ndarray:
        """Returns the squashed drop of the two-parameter map."""
        return squash(self._drop(np.log(scores), self.log_start, self.power))

    def predict(self, score: float, shares: np.ndarray) -> tuple[float, float]:
        """Returns squashed drop and its standard deviation for one recipe."""
        log = math.log(score)
        inner = math.exp(min(max(self.power * (log - self.log_start), -50.0), 50.0))
        start = math.asinh(self.most * -math.expm1(-inner) / _UNIT)
        if not len(self._logs):
            return start, math.hypot(_AMPLITUDE, _MODEL_NOISE)
        far = shares / _LENGTH_SHARE - self._places
        squares = np.einsum("ij,ij->i", far, far) + (self._logs - log) ** 2 / _LENGTH_LOG**2
        cross = _AMPLITUDE**2 * np.exp(-0.5 * squares)
        variance = _AMPLITUDE**2 - float(cross @ (self._inverse @ cross))
        center = start + float(cross @ self._alpha)
        return center, math.sqrt(max(variance, 0.0) + _MODEL_NOISE**2)

    def left_out(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns residual and standard deviation of each point predicted from all others.

        The deviation is that of what was seen, the noise of a quick look included.
        """
        points, seen = self._points, self._points.samples > 0
        looked = squash(points.drops[seen]) - self.curve(points.scores[seen])
        spread = np.sqrt(self._noise()[seen] ** 2 + _AMPLITUDE**2 + _MODEL_NOISE**2)
        if not len(self._logs):
            return looked, spread
        diagonal = np.diag(self._inverse)
        own = self._alpha / diagonal, 1.0 / np.sqrt(diagonal)
        return np.concatenate([looked, own[0]]), np.concatenate([spread, own[1]])

    def _drop(
        self, logs: np.ndarray, start: float | np.ndarray, power: float | np.ndarray
    ) -> np.ndarray:
        inner = np.exp(np.clip(power * (logs - start), -50, 50))
        return np.asarray(self.most * -np.expm1(-inner))

    def _fit(self, logs: np.ndarray, wanted: np.ndarray) -> tuple[float, float]:
        start, power = _PRIOR
        trust = _TRUSTED**2 / (_TRUSTED**2 + self._noise() ** 2)
        width, reach = 6.0, 0.75
        for _ in range(3):
            starts = start + np.linspace(-width, width, 41)
            powers = np.clip(power * np.exp(np.linspace(-reach, reach, 21)), 0.3, 3.0)
            grid = np.stack(np.meshgrid(starts, powers), axis=-1).reshape(-1, 2)
            found = squash(self._drop(logs[None, :], grid[:, :1], grid[:, 1:]))
            far = np.abs(found - wanted)
            cost = (np.minimum(far, far**2) * trust).sum(axis=1)
            cost += _PRIOR_WEIGHT * ((grid[:, 0] - _PRIOR[0]) / 3) ** 2
            cost += _PRIOR_WEIGHT * (np.log(grid[:, 1] / _PRIOR[1]) / 0.5) ** 2
            start, power = map(float, grid[int(cost.argmin())])
            width, reach = width / 10, reach / 6
        return start, power

    def _train(self) -> None:
        points, own = self._points, self._points.samples == 0
        self._logs = np.log(points.scores[own])
        shares = points.shares[own]
        self._places = shares / _LENGTH_SHARE
        kernel = _kernel(self._logs, shares)
        self._inverse = np.linalg.inv(kernel + _MODEL_NOISE**2 * np.eye(len(kernel)))
        residuals = squash(points.drops[own]) - self.curve(points.scores[own])
        self._alpha = self._inverse @ residuals

    def _noise(self) -> np.ndarray:
        """Returns how far luck moves what a quick look sees; nothing where all samples were."""
        points = self._points
        count = np.maximum(points.samples, 1.0)
        size = np.abs(points.drops) / 100 + self._error + 1.0 / count
        noise = np.where(points.samples > 0, 100 * np.sqrt(size / count), 0.0)
        return np.asarray(noise / np.sqrt(points.drops**2 + noise**2 / 2 + _UNIT**2))


def _kernel(logs: np.ndarray, shares: np.ndarray) -> np.ndarray:
    far = ((logs[:, None] - logs) / _LENGTH_LOG) ** 2
    far = far + (((shares[:, None] - shares) / _LENGTH_SHARE) ** 2).sum(axis=2)
    return np.asarray(_AMPLITUDE**2 * np.exp(-0.5 * far))
