"""From a sensitivity score to a drop of the score, and what points already known say of it.

Two parameters saturate at chance: drop = most·(1 − exp(−(q/q₀)^γ)). What known points leave over
follows a Gaussian process on (log q, shares of methods, depth): at the same score, early changes do
more harm than late ones, which mostly scale the logits. Each point has the noise it was found with;
amplitude and own noise are means over a few, each as likely as the points say (Rasmussen and
Williams 2006, §5.2: with sixty points the likeliest alone is often much too small); lengths are
fixed. Residuals are in asinh(drop / 0.5 points), where small drops and collapses weigh alike.
NumPy only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

UNIT = 0.5
LENGTH_LOG, LENGTH_SHARE, LENGTH_DEPTH = 1.2, 1.2, 0.45
_AMPLITUDES = (0.1, 0.15, 0.22, 0.32, 0.45, 0.6, 0.8)
_NOISES = (0.1, 0.15, 0.22, 0.28, 0.36, 0.46)
_LIKELY_AMPLITUDE, _LIKELY_NOISE = (0.35, 0.7), (0.36, 0.2)  # median, reach of its logarithm
_WITHOUT_POINTS = (0.6, 0.12)
_TRUSTED = 0.3
_PRIOR = (1.0, 1.1)
_PRIOR_WEIGHT = 0.05


def squash(drop: np.ndarray | float) -> np.ndarray:
    """Returns asinh(drop / 0.5) for a drop in points."""
    return np.asarray(np.arcsinh(np.asarray(drop) / UNIT))


def unsquash(value: float) -> float:
    """Returns the drop in points."""
    return UNIT * math.sinh(value)


@dataclass(frozen=True)
class Points:
    """Known drops.

    Attributes:
        scores: Sensitivity scores [n].
        places: Share of the weights that each method treats, then the depth [n, methods + 1].
        drops: In points [n].
        noise: Standard error of each, in points; 0 where found on the very samples that count [n].
    """

    scores: np.ndarray
    places: np.ndarray
    drops: np.ndarray
    noise: np.ndarray


class ScoreMap:
    """See the module's docstring.

    Args:
        most: The drop to chance, in points.
        points: What is known; may be empty.

    Attributes:
        log_start: log q₀ of the curve.
        power: γ of the curve.
        amplitude: Of the Gaussian process.
        noise: What no recipe's place explains; both in squashed points.
        logs: log q of each point [n].
        places: Its shares and depth over their lengths [n, methods + 1].
        inverse: Of the points' covariance [n, n].
        alpha: `inverse` times what the curve leaves over [n].
    """

    def __init__(self, most: float, points: Points) -> None:
        self.most = max(most, 1.0)
        self.logs = np.log(points.scores)
        self.places = _scaled(points.places)
        wanted = squash(points.drops)
        luck = points.noise / np.sqrt(points.drops**2 + points.noise**2 / 2 + UNIT**2)
        self.log_start, self.power = self._fit(wanted, luck)
        self._train(wanted - self.curve(points.scores), luck)

    def curve(self, scores: np.ndarray) -> np.ndarray:
        """Returns the squashed drop of the two-parameter map."""
        return squash(self._drop(np.log(scores), self.log_start, self.power))

    def predict(self, score: float, place: np.ndarray) -> tuple[float, float]:
        """Returns squashed drop and standard deviation of a recipe at a place [methods + 1]."""
        log = math.log(score)
        inner = math.exp(min(max(self.power * (log - self.log_start), -50.0), 50.0))
        start = math.asinh(self.most * -math.expm1(-inner) / UNIT)
        if not len(self.logs):
            return start, math.hypot(self.amplitude, self.noise)
        far = self.places - _scaled(place)
        squares = np.einsum("ij,ij->i", far, far) + (self.logs - log) ** 2 / LENGTH_LOG**2
        cross = self.amplitude**2 * np.exp(-0.5 * squares)
        variance = self.amplitude**2 - float(cross @ (self.inverse @ cross))
        center = start + float(cross @ self.alpha)
        return center, math.sqrt(max(variance, 0.0) + self.noise**2)

    def left_out(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns residual and standard deviation of each point predicted from all others.

        The deviation is that of what was seen, the noise of a quick look included
        (Rasmussen and Williams 2006, §5.4.2).
        """
        diagonal = np.diag(self.inverse)
        return self.alpha / diagonal, 1.0 / np.sqrt(diagonal)

    def _drop(
        self, logs: np.ndarray, start: float | np.ndarray, power: float | np.ndarray
    ) -> np.ndarray:
        inner = np.exp(np.clip(power * (logs - start), -50, 50))
        return np.asarray(self.most * -np.expm1(-inner))

    def _fit(self, wanted: np.ndarray, luck: np.ndarray) -> tuple[float, float]:
        start, power = _PRIOR
        trust = _TRUSTED**2 / (_TRUSTED**2 + luck**2)
        width, reach = 6.0, 0.75
        for _ in range(3):
            starts = start + np.linspace(-width, width, 41)
            powers = np.clip(power * np.exp(np.linspace(-reach, reach, 21)), 0.3, 3.0)
            grid = np.stack(np.meshgrid(starts, powers), axis=-1).reshape(-1, 2)
            found = squash(self._drop(self.logs[None, :], grid[:, :1], grid[:, 1:]))
            far = np.abs(found - wanted)
            cost = (np.minimum(far, far**2) * trust).sum(axis=1)
            cost += _PRIOR_WEIGHT * ((grid[:, 0] - _PRIOR[0]) / 3) ** 2
            cost += _PRIOR_WEIGHT * (np.log(grid[:, 1] / _PRIOR[1]) / 0.5) ** 2
            start, power = map(float, grid[int(cost.argmin())])
            width, reach = width / 10, reach / 6
        return start, power

    def _train(self, residuals: np.ndarray, luck: np.ndarray) -> None:
        near = self._nearness()
        self.amplitude, self.noise = _expected(near, residuals, luck)
        own = np.diag(self.noise**2 + luck**2)
        self.inverse = np.linalg.inv(self.amplitude**2 * near + own)
        self.alpha = self.inverse @ residuals

    def _nearness(self) -> np.ndarray:
        far = ((self.logs[:, None] - self.logs) / LENGTH_LOG) ** 2
        squares = (self.places**2).sum(axis=1)
        far = far + squares[:, None] + squares - 2 * self.places @ self.places.T
        return np.asarray(np.exp(-0.5 * far))


def _scaled(places: np.ndarray) -> np.ndarray:
    """Returns shares and depth [..., methods + 1] over their lengths."""
    lengths = np.full(places.shape[-1], LENGTH_SHARE)
    lengths[-1:] = LENGTH_DEPTH
    return np.asarray(places / lengths)


def _expected(near: np.ndarray, residuals: np.ndarray, luck: np.ndarray) -> tuple[float, float]:
    """Returns the amplitude and noise whose squares are the means of the posterior."""
    if not len(residuals):
        return _WITHOUT_POINTS
    pairs = np.array([(amplitude, noise) for amplitude in _AMPLITUDES for noise in _NOISES])
    found = np.array([_posterior(near, residuals, luck, *pair) for pair in pairs])
    shares = np.exp(found - found.max())
    amplitude, noise = np.sqrt(shares @ pairs**2 / shares.sum())
    return float(amplitude), float(noise)


def _posterior(
    near: np.ndarray, residuals: np.ndarray, luck: np.ndarray, amplitude: float, noise: float
) -> float:
    """Returns the logarithm of the density, up to a constant."""
    return (
        _likelihood(amplitude**2 * near + np.diag(noise**2 + luck**2), residuals)
        - _unlikeliness(amplitude, *_LIKELY_AMPLITUDE)
        - _unlikeliness(noise, *_LIKELY_NOISE)
    )


def _unlikeliness(value: float, median: float, reach: float) -> float:
    return 0.5 * (math.log(value / median) / reach) ** 2


def _likelihood(covariance: np.ndarray, residuals: np.ndarray) -> float:
    root = np.linalg.cholesky(covariance)
    part = np.linalg.solve(root, residuals)
    return float(-0.5 * part @ part - np.log(np.diag(root)).sum())
