"""What is shown of an estimate: figures with bands, each layer's part, how bands held so far."""

from __future__ import annotations

from typing import Any

import numpy as np

from workbench.compression.estimate import Estimate
from workbench.compression.estimator import Estimator
from workbench.compression.recipe import parse
from workbench.compression.treatments import needs_training
from workbench.core.errors import WorkbenchError
from workbench.core.records import Interval
from workbench.flow.study import Study

_YARDSTICK = "prune:0.5,scope=layer"


def answer(study: Study, recipe: str) -> dict[str, Any]:
    """Returns what a recipe would measure, beside its text as it was asked.

    Args:
        study: The study.
        recipe: As text.

    Raises:
        InputError: The recipe is not valid.
    """
    said = study.estimate(recipe)
    return {**account(study), "asked": recipe, **_figures(said), **layers(study.estimator, recipe)}


def account(study: Study) -> dict[str, Any]:
    """Returns how the bands held so far."""
    study.learn()
    report = study.estimator.report()
    return {
        "held": report.coverage,
        "held_of": report.measured,
        "account_words": report.words,
        "is_refined": study.estimator.is_refined,
    }


def refused(asked: str, error: WorkbenchError) -> dict[str, Any]:
    """Returns why there is no estimate."""
    return {"asked": asked, "refusal": " ".join([error.message, *error.problems])}


def layers(estimator: Estimator, recipe: str) -> dict[str, Any]:
    """Returns each layer's part of the harm that the recipe is expected to do.

    The part is the layer's row of the Gram matrix over the whole, so that what layers do together
    is shared out between them. A recipe of which nothing can be computed (it trains) is replaced
    by halving each layer alone. Before the table is there, nothing is returned of layers.

    Args:
        estimator: Of the study.
        recipe: As text.
    """
    shown = recipe if not needs_training(parse(recipe)) else _YARDSTICK
    located = estimator.locate(parse(shown))
    if located.is_first:
        return {"layers": [], "layers_of": shown}  # gradients rank recipes, but not yet the layers
    table = estimator.table
    names = {row: layer for (layer, _), row in table.rows.items()}
    parts = dict.fromkeys((layer.name for layer in estimator.prober.layers), 0.0)
    if len(located.rows):
        gram = table.gram[located.rows[:, None], located.rows]
        harm = located.weights * (gram @ located.weights)
        total = float(np.abs(harm).sum()) or 1.0
        for row, part in zip(located.rows, harm, strict=True):
            if names[int(row)] in parts:
                parts[names[int(row)]] += max(0.0, float(part)) / total
    base = estimator.prober.plain.base
    sizes = {la.name: int(base[la.initializer].size) for la in estimator.prober.layers}
    weights = sum(sizes.values())
    rows = [[name, round(part, 4), round(sizes[name] / weights, 4)] for name, part in parts.items()]
    return {"layers": rows, "layers_of": shown}


def _figures(said: Estimate) -> dict[str, Any]:
    return {
        "recipe": said.recipe,
        "score": _ends(said.score),
        "size_bytes": _ends(said.size_bytes),
        "latency_ms": _ends(said.latency_ms),
        "is_provisional": said.is_provisional,
        "needs_training": said.needs_training,
        "reason": said.reason,
    }


def _ends(interval: Interval) -> list[float]:
    return [float(interval.value), float(interval.low), float(interval.high)]
