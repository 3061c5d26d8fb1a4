"""Which layer is to blame for what a recipe changes: shares of its score in the table.

The score is half the sum of the Gram matrix over all pairs of cells, so a layer's share is its own
row's part of that sum: what it changes alone and half of what it changes together with others.
"""

from __future__ import annotations

import numpy as np

from workbench.compression.comparison import Blame
from workbench.compression.estimator import Estimator
from workbench.compression.recipe import Recipe
from workbench.compression.restructuring import split_structure
from workbench.compression.sensitivity import COMMON

_WORDS = "shares of the estimated change of the answers, from the sensitivity table"
_STRUCTURE = "the channels removed and the training after it changed all layers together; "
_TRAINED = "training changed all layers together: no layer can be blamed alone"


def blame_of(recipe: Recipe, estimator: Estimator) -> tuple[list[Blame], str]:
    """Returns the layers by their share, largest first, and how that was found, or why not.

    Args:
        recipe: What was done.
        estimator: The study's; treatments that its table lacks are added.
    """
    structure, rest = split_structure(recipe)
    if any(step.plugin.trains for step in rest.all_steps()):
        return [], _TRAINED
    if rest.is_baseline:
        return [], _TRAINED
    located = estimator.locate(rest)
    table = estimator.first if located.is_first else estimator.table
    gram = table.gram[np.ix_(located.rows, located.rows)] * np.outer(
        located.weights, located.weights
    )
    parts = gram.sum(axis=1)
    total = float(parts.sum())
    if total <= 0:
        return [], "nothing changed"
    names = {row: cell for cell, row in table.rows.items()}
    found = [
        Blame(cell[0] or "BatchNorm", "re-estimated" if cell == COMMON else cell[1], part / total)
        for row, part in zip(located.rows, parts.tolist(), strict=True)
        for cell in [names[int(row)]]
    ]
    words = f"{_STRUCTURE}beside that, {_WORDS}" if structure is not None else _WORDS
    return sorted(_joined(found), key=lambda item: -item.share), words


def _joined(rows: list[Blame]) -> list[Blame]:
    """Returns one row a layer: an amount between two cells of the table has both."""
    found: dict[str, Blame] = {}
    for row in rows:
        known = found.get(row.layer)
        found[row.layer] = (
            row if known is None else Blame(row.layer, known.treatment, known.share + row.share)
        )
    return list(found.values())
