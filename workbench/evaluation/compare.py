"""Whether one model is better than another, judged on the same samples. NumPy only."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.core.errors import InputError
from workbench.core.records import Interval
from workbench.tasks import METRICS

CONFIDENCE = 0.9
_RESAMPLES = 1000


def paired_difference(
    metric: str,
    baseline: NDArray[np.floating],
    candidate: NDArray[np.floating],
    targets: NDArray[Any],
    *,
    confidence: float = CONFIDENCE,
    seed: int = 0,
) -> Interval:
    """Returns the candidate's metric minus the baseline's, with its interval.

    Both models answered the same samples, so what they have in common cancels: the interval is far
    narrower than that of two separate scores. A share of right samples uses `bonett_price`,
    every other metric `paired_bootstrap`.

    Args:
        metric: Key of the metric.
        baseline: The baseline's outputs [N, …].
        candidate: The candidate's outputs, same samples in the same order.
        targets: Stored targets [N, …].
        confidence: Of the interval, 0 to 1.
        seed: Draws the resamples.
    """
    if len(baseline) != len(candidate):
        raise InputError(
            f"The baseline answered {len(baseline)} samples, the candidate {len(candidate)}.",
            hint="Compare on the same samples.",
        )
    before, after = (METRICS.get(metric).hits(o, targets) for o in (baseline, candidate))
    if before is not None and after is not None:
        return bonett_price(before, after, confidence=confidence)
    return paired_bootstrap(metric, baseline, candidate, targets, confidence=confidence, seed=seed)


def bonett_price(
    baseline: NDArray[np.bool_], candidate: NDArray[np.bool_], *, confidence: float = CONFIDENCE
) -> Interval:
    """Returns the difference of two paired proportions, candidate − baseline.

    The adjusted Wald interval of D. G. Bonett and R. M. Price (2012), "Adjusted Wald confidence
    interval for a difference of binomial proportions based on paired data", Journal of Educational
    and Behavioral Statistics 37(4), 479–488, https://doi.org/10.3102/1076998611411915: one is
    added to each count of disagreements. It holds its level for small samples and for models that
    never disagree, where the plain interval has width zero.

    Args:
        baseline: bool [N], whether the baseline was right.
        candidate: bool [N], whether the candidate was right.
        confidence: Of the interval, 0 to 1.
    """
    count = len(baseline)
    if count == 0 or count != len(candidate):
        raise InputError(
            f"Pairs are needed, got {count} and {len(candidate)} answers.",
            hint="Compare on the same samples.",
        )
    won = int(np.sum(candidate & ~baseline))
    lost = int(np.sum(baseline & ~candidate))
    gain, loss = (won + 1) / (count + 2), (lost + 1) / (count + 2)
    spread = math.sqrt((gain + loss - (gain - loss) ** 2) / (count + 2))
    reach = NormalDist().inv_cdf(0.5 + confidence / 2) * spread
    middle = gain - loss
    return Interval((won - lost) / count, max(-1.0, middle - reach), min(1.0, middle + reach))


def paired_bootstrap(
    metric: str,
    baseline: NDArray[np.floating],
    candidate: NDArray[np.floating],
    targets: NDArray[Any],
    *,
    confidence: float = CONFIDENCE,
    resamples: int = _RESAMPLES,
    seed: int = 0,
) -> Interval:
    """Returns the difference of a metric, candidate − baseline, with a percentile interval.

    Samples are drawn with replacement, the same ones for both models (Efron and Tibshirani 1993,
    "An Introduction to the Bootstrap", ch. 13).

    Args:
        metric: Key of the metric.
        baseline: The baseline's outputs.
        candidate: The candidate's outputs, same samples in the same order.
        targets: Stored targets [N, …].
        confidence: Of the interval, 0 to 1.
        resamples: Number of draws.
        seed: Seed of the draws.
    """
    compute = METRICS.get(metric).compute
    generator = np.random.default_rng(seed)
    count = len(targets)
    differences = np.empty(resamples)
    for draw in range(resamples):
        rows = generator.integers(0, count, count)
        wanted = targets[rows]
        differences[draw] = compute(candidate[rows], wanted) - compute(baseline[rows], wanted)
    low, high = np.quantile(differences, [0.5 - confidence / 2, 0.5 + confidence / 2])
    value = compute(candidate, targets) - compute(baseline, targets)
    return Interval(value, float(low), float(high))
