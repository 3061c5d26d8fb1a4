"""How much a change of outputs matters to the loss, to second order. NumPy only.

For logits the loss changes by about ½ Δᵀ S Δ, where S is the covariance of the answer: that of a
softmax is diag(p) − p pᵀ, that of a sigmoid diag(p (1 − p)) (Schraudolph 2002,
doi:10.1162/08997660260028683). A whitened change is S^½ Δ; a probe is S^½ r with random r.
"""

from __future__ import annotations

import numpy as np

_TINY = 1e-12
_SMALLEST = 1e-9
_STEEPEST = 1e-6


def logits_of(outputs: np.ndarray, kind: str) -> np.ndarray:
    """Returns outputs [M, C] as float64 logits of a softmax."""
    values = outputs.astype(np.float64)
    return np.log(np.maximum(values, _SMALLEST)) if kind == "probabilities" else values


def softmax(logits: np.ndarray) -> np.ndarray:
    """Returns the shares [M, C] of logits."""
    shares = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(shares / shares.sum(axis=-1, keepdims=True))


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """Returns 1 / (1 + e^−x) without overflow."""
    return np.asarray(0.5 * (1 + np.tanh(0.5 * logits)))


def softmax_change(
    before: np.ndarray, after: np.ndarray, kind: str, temperature: float
) -> np.ndarray:
    """Returns the whitened change [M, C] of the answers of a softmax."""
    first = logits_of(before, kind)
    weights = softmax(first / temperature)
    change = (logits_of(after, kind) - first) / temperature
    change = change - (weights * change).sum(axis=1, keepdims=True)
    return np.asarray(np.sqrt(weights) * change)


def softmax_probes(
    outputs: np.ndarray, kind: str, temperature: float, rng: np.random.Generator
) -> np.ndarray:
    """Returns probes [M, C] of the answers of a softmax."""
    noise = rng.standard_normal(outputs.shape)
    weights = softmax(logits_of(outputs, kind) / temperature)
    roots = np.sqrt(weights)
    vectors = roots * noise - weights * (roots * noise).sum(axis=1, keepdims=True)
    if kind == "probabilities":
        vectors = vectors / np.maximum(outputs, _STEEPEST)
    return np.asarray(vectors / temperature)


def sigmoid_change(
    before: np.ndarray, after: np.ndarray, kind: str, temperature: float
) -> np.ndarray:
    """Returns the whitened change, of any shape, of answers of yes or no."""
    first = _log_odds(before, kind)
    shares = sigmoid(first / temperature)
    change = (_log_odds(after, kind) - first) / temperature
    return np.asarray(np.sqrt(shares * (1 - shares)) * change)


def sigmoid_probes(
    outputs: np.ndarray, kind: str, temperature: float, rng: np.random.Generator
) -> np.ndarray:
    """Returns probes, of any shape, of answers of yes or no."""
    shares = sigmoid(_log_odds(outputs, kind) / temperature)
    slopes = np.sqrt(shares * (1 - shares))
    if kind == "probabilities":
        slopes = slopes / np.maximum(outputs * (1 - outputs), _STEEPEST)
    return np.asarray(slopes * rng.standard_normal(outputs.shape) / temperature)


def value_change(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Returns the change [M, C] of values, in units of each column's spread."""
    return np.asarray((after - before) / spread(before))


def value_probes(outputs: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Returns probes [M, C] of values."""
    return np.asarray(rng.standard_normal(outputs.shape) / spread(outputs))


def spread(values: np.ndarray) -> np.ndarray:
    """Returns the deviation of each column of [M, C]; never zero."""
    return np.asarray(np.maximum(values.std(axis=0), _TINY))


def _log_odds(outputs: np.ndarray, kind: str) -> np.ndarray:
    values = outputs.astype(np.float64)
    if kind != "probabilities":
        return values
    shares = np.clip(values, _SMALLEST, 1 - _SMALLEST)
    return np.asarray(np.log(shares) - np.log1p(-shares))
