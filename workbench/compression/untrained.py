"""Estimates of recipes that train: between chance and the baseline, until neighbours are known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from workbench.compression.estimate import Estimate
from workbench.compression.measured import Measured
from workbench.compression.recipe import Recipe, parse
from workbench.compression.treatments import needs_training
from workbench.core.records import Interval

_AMOUNT = "amount"
NEAR, LEAST_REACH = 0.15, 0.03
_SMALLEST = 0.02


def untrained(
    recipe: Recipe,
    baseline: Measured,
    known: Measured | None,
    measured: Mapping[str, Measured],
    macs: float,
    chance: float = 0.0,
) -> Estimate:
    """Returns what can be said of a recipe that trains.

    Args:
        recipe: With at least one step that trains.
        baseline: The model itself.
        known: The recipe's own measurement, if there is one.
        measured: All measurements by recipe.
        macs: The baseline's.
        chance: Score of a guess.
    """
    near = [known] if known is not None else _neighbours(recipe, measured)
    return Estimate(
        recipe=str(recipe),
        metric=baseline.metric,
        score=_band([m.score for m in near], known, chance, baseline.score),
        size_bytes=_scaled([m.size_bytes for m in near], known, recipe, baseline.size_bytes),
        latency_ms=_scaled([m.latency_ms for m in near], known, recipe, baseline.latency_ms),
        macs=_scaled([], None, recipe, macs),
        is_provisional=known is None,
        needs_training=known is None,
        reason="measured" if known is not None else _words(len(near)),
    )


def _words(near: int) -> str:
    if near:
        return f"needs training; the estimate is that of {near} measured neighbours"
    return "needs training: the score lies between chance and the baseline"


def trained_points(measured: Mapping[str, Measured]) -> list[dict[str, Any]]:
    """Returns what was measured of recipes that train, JSON-able, as a page needs it."""
    found = []
    for item in measured.values():
        recipe = parse(item.recipe_json)
        if needs_training(recipe):
            figures = {n: getattr(item, n) for n in ("score", "size_bytes", "latency_ms")}
            found.append({"methods": methods_of(recipe), "amount": _amount(recipe), **figures})
    return found


def methods_of(recipe: Recipe) -> list[str]:
    """Returns the methods of all steps, in stage order."""
    return [step.method for step in recipe.all_steps()]


def _neighbours(recipe: Recipe, measured: Mapping[str, Measured]) -> list[Measured]:
    found = []
    for item in measured.values():
        other = parse(item.recipe_json)
        is_kin = methods_of(other) == methods_of(recipe) and needs_training(other)
        if is_kin and abs(_amount(other) - _amount(recipe)) <= NEAR:
            found.append(item)
    return found


def _amount(recipe: Recipe) -> float:
    amounts = [getattr(step.config, _AMOUNT, 0.0) for step in recipe.all_steps()]
    return float(max(amounts, default=0.0))


def _band(scores: list[float], known: Measured | None, chance: float, baseline: float) -> Interval:
    if known is not None:
        return Interval(known.score, known.score, known.score)
    if not scores:
        return Interval((chance + baseline) / 2, *sorted((chance, baseline)))
    middle = float(np.mean(scores))
    reach = max(LEAST_REACH, 2 * abs(max(scores) - min(scores)))
    if chance > baseline:  # an error: less is better
        return Interval(middle, middle - reach, min(chance, middle + reach))
    return Interval(middle, max(chance, middle - reach), middle + reach)


def _scaled(
    figures: list[float] | list[int], known: Measured | None, recipe: Recipe, before: float
) -> Interval:
    if known is not None and figures:
        return Interval(*[float(figures[0])] * 3)
    if figures:
        middle = float(np.mean(figures))
        return Interval(middle, 0.7 * middle, min(1.4 * middle, before))
    kept = 1.0 - _amount(recipe)
    return Interval(before * kept**1.5, before * max(kept**2 * 0.7, _SMALLEST), before)
