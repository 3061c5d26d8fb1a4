"""From a sensitivity score to a drop of the score, and what points already known say of it.

Two parameters saturate at chance: drop = most·(1 − exp(−(q/q₀)^γ)). What known points leave over
follows a Gaussian process with fixed hyper-parameters on (log q, shares of methods). All residuals
are in asinh(drop / 0.5 points), where small drops and collapses weigh alike. NumPy only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_UNIT = 0.5
_AMPLITUDE, _MODEL_NOISE = 0.55, 0.12
_LENGTH_LOG, _LENGTH_SHARE = 1.2, 0.6
_PRIOR = (0.0, 0.9)
_PRIOR_WEIGHT = 0.05
_SMALL = 1e-9


def squash(drop: np.ndarray | float) -> np.ndarray:
    """Returns asinh(drop / 0.5) for a drop in points."""
    return np.asarray(np.arcsinh(np.asarray(drop) / _UNIT))


def unsquash(value: np.ndarray | float) -> np.ndarray:
    """Returns the drop in points."""
    return np.asarray(_UNIT * np.sinh(np.asarray(value)))


@dataclass(frozen=True)
class Points:
    """Known drops.

    Attributes:
        scores: Sensitivity scores [n].
        shares: Share of the weights that each method treats [n, methods].
        drops: In points [n].
        samples: On how many samples each was found [n].
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

    def predict(self, scores: np.ndarray, shares: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns squashed drop and its standard deviation, for scores [n] and shares [n, m]."""
        start, spread = self.curve(scores), np.full(len(scores), _AMPLITUDE)
        if len(self._points.scores):
            cross = _kernel(np.log(scores), shares, self._logs, self._points.shares)
            start = start + cross @ self._alpha
            explained = np.einsum("ij,jk,ik->i", cross, self._inverse, cross)
            spread = np.sqrt(np.maximum(_AMPLITUDE**2 - explained, 0.0))
        return start, np.sqrt(spread**2 + _MODEL_NOISE**2)

    def predict_one(self, score: float, shares: np.ndarray) -> tuple[float, float]:
        """Returns what `predict` does, for one recipe, fast."""
        drop = self._drop(np.float64(np.log(score)), self.log_start, self.power)
        start = float(np.arcsinh(drop / _UNIT))
        if not len(self._points.scores):
            return start, float(np.hypot(_AMPLITUDE, _MODEL_NOISE))
        far = ((self._logs - np.log(score)) / _LENGTH_LOG) ** 2
        far += (((self._points.shares - shares) / _LENGTH_SHARE) ** 2).sum(axis=1)
        cross = _AMPLITUDE**2 * np.exp(-0.5 * far)
        variance = _AMPLITUDE**2 - float(cross @ (self._inverse @ cross))
        spread = np.sqrt(max(variance, 0.0) + _MODEL_NOISE**2)
        return start + float(cross @ self._alpha), float(spread)

    def left_out(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns residual and standard deviation of each point predicted from all others."""
        if not len(self._points.scores):
            return np.zeros(0), np.ones(0)
        diagonal = np.diag(self._inverse)
        spread = 1.0 / diagonal - self._noise + _MODEL_NOISE**2
        return self._alpha / diagonal, np.sqrt(np.maximum(spread, _MODEL_NOISE**2))

    def _drop(self, logs: np.ndarray, start: float, power: float) -> np.ndarray:
        inner = np.exp(np.clip(power * (logs - start), -50, 50))
        return np.asarray(self.most * -np.expm1(-inner))

    def _fit(self, logs: np.ndarray, wanted: np.ndarray) -> tuple[float, float]:
        start, power = _PRIOR
        width, reach = 6.0, 0.75
        for _ in range(3):
            starts = start + np.linspace(-width, width, 41)
            powers = np.clip(power * np.exp(np.linspace(-reach, reach, 21)), 0.3, 3.0)
            grid = np.stack(np.meshgrid(starts, powers), axis=-1).reshape(-1, 2)
            found = squash(self._drop(logs[None, :], grid[:, :1], grid[:, 1:]))
            cost = np.minimum(np.abs(found - wanted), (found - wanted) ** 2).sum(axis=1)
            cost += _PRIOR_WEIGHT * ((grid[:, 0] - _PRIOR[0]) / 3) ** 2
            cost += _PRIOR_WEIGHT * (np.log(grid[:, 1] / _PRIOR[1]) / 0.5) ** 2
            start, power = map(float, grid[int(cost.argmin())])
            width, reach = width / 10, reach / 6
        return start, power

    def _train(self) -> None:
        points = self._points
        self._logs = np.log(points.scores)
        if not len(points.scores):
            return
        size = np.abs(points.drops) / 100 + 2 * self._error + 1.0 / points.samples
        noise = 100 * np.sqrt(size / points.samples)
        noise /= np.sqrt(points.drops**2 + noise**2 / 2 + _UNIT**2)
        self._noise = noise**2 + _MODEL_NOISE**2
        kernel = _kernel(self._logs, points.shares, self._logs, points.shares)
        self._inverse = np.linalg.inv(kernel + np.diag(self._noise))
        self._alpha = self._inverse @ (squash(points.drops) - self.curve(points.scores))


def _kernel(
    logs: np.ndarray, shares: np.ndarray, other_logs: np.ndarray, other_shares: np.ndarray
) -> np.ndarray:
    far = ((logs[:, None] - other_logs) / _LENGTH_LOG) ** 2
    far = far + (((shares[:, None] - other_shares) / _LENGTH_SHARE) ** 2).sum(axis=2)
    return np.asarray(_AMPLITUDE**2 * np.exp(-0.5 * far))
