"""Recipes as a person reads them. A recipe by layer is told by what its layers share."""

from __future__ import annotations

from collections.abc import Sequence

from workbench.compression.recipe import Recipe, Step, parse

_REST = "*"


def summary(recipe: Recipe | str) -> str:
    """Returns a recipe in one line, as "prune_structured:0.3 + cluster:16; 2 layers otherwise"."""
    parsed = parse(recipe)
    if not parsed.layers:
        return str(parsed)
    own = len(parsed.layers) - (_REST in parsed.layers)
    shared = _words(parsed.layers.get(_REST, _common(parsed)))
    return f"{shared}; {own} layer{'s' * (own != 1)} otherwise" if own else shared


def by_layer(recipe: Recipe | str) -> list[tuple[str, str]]:
    """Returns the layers that are treated otherwise, with the steps that not all layers share."""
    parsed = parse(recipe)
    shared = len(_common(parsed))
    named = [(name, steps) for name, steps in parsed.layers.items() if name != _REST]
    return [(name, _words(steps[shared:])) for name, steps in sorted(named)]


def _common(recipe: Recipe) -> tuple[Step, ...]:
    parts = list(recipe.layers.values()) or [()]
    same = 0
    for steps in zip(*parts, strict=False):
        if len(set(map(str, steps))) > 1:
            break
        same += 1
    return parts[0][:same]


def _words(steps: Sequence[Step]) -> str:
    return " + ".join(map(str, steps)) or "left as it is"
