"""Recipes as a person reads them. A recipe by layer is told by what its layers share.

They are read as text: a version may have been made by a method that is not there any more.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

_REST, _AND = "*", " + "


def summary(recipe: str) -> str:
    """Returns a recipe in one line, as "prune_structured:0.3 + cluster:16; 2 layers otherwise"."""
    if not recipe.startswith("{"):
        return recipe or "baseline"
    layers = _layers(recipe)
    own = len(layers) - (_REST in layers)
    shared = _words(layers.get(_REST, _common(layers)))
    return f"{shared}; {own} layer{'s' * (own != 1)} otherwise" if own else shared


def by_layer(recipe: str) -> list[tuple[str, str]]:
    """Returns the layers that are treated otherwise, with the steps that not all layers share."""
    if not recipe.startswith("{"):
        return []
    layers = _layers(recipe)
    shared = len(_common(layers))
    return [(n, _words(steps[shared:])) for n, steps in sorted(layers.items()) if n != _REST]


def _layers(recipe: str) -> dict[str, list[str]]:
    parts = json.loads(recipe)
    return {name: [] if part == "baseline" else part.split(_AND) for name, part in parts.items()}


def _common(layers: dict[str, list[str]]) -> list[str]:
    parts = list(layers.values())
    same = 0
    for steps in zip(*parts, strict=False):
        if len(set(steps)) > 1:
            break
        same += 1
    return parts[0][:same]


def _words(steps: Sequence[str]) -> str:
    return _AND.join(steps) or "left as it is"
