"""What a recipe does to each layer by itself, in a form that tables can be indexed with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from workbench.compression.apply import groups_of, layer_weight
from workbench.compression.method import Method, StructureMethod, WeightMethod
from workbench.compression.methods import METHODS
from workbench.compression.recipe import Recipe, Step
from workbench.compression.subject import Subject

Treatment = tuple[Step, ...]
Shares = Callable[[Step, Subject, tuple[str, ...]], Mapping[str, float]]
_AMOUNTS = (0.3, 0.5, 0.65, 0.8, 0.9, 0.97)
_AMOUNT, _SCOPE, _GLOBAL, _LAYER = "amount", "scope", "global", "layer"
_REMEMBERED = 20_000
_PARTNERS = ("quantize_static", "quantize_dynamic")


@lru_cache(maxsize=_REMEMBERED)
def key_of(treatment: Treatment) -> str:
    """Returns the text that names a treatment."""
    return " + ".join(str(step) for step in treatment)


@lru_cache(maxsize=_REMEMBERED)
def kind_of(treatment: Treatment) -> str:
    """Returns the methods of a treatment without their options, as in "prune + quantize_static"."""
    return " + ".join(step.method for step in treatment)


def changes_weights(treatment: Treatment) -> bool:
    """Returns whether any step changes weights by themselves."""
    return any(isinstance(step.plugin, WeightMethod) for step in treatment)


def needs_training(recipe: Recipe) -> bool:
    """Returns whether nothing can be computed of a recipe before it was measured."""
    return any(
        step.plugin.trains or isinstance(step.plugin, StructureMethod)
        for step in recipe.all_steps()
    )


def treatments_of(
    recipe: Recipe, subject: Subject, shares_of: Shares | None = None
) -> dict[str, Treatment]:
    """Returns the treatment of each treated layer by name.

    A step that ranks all layers together (scope=global) becomes, for each layer, the step that
    takes from it alone what it loses among the others.

    Args:
        recipe: What to do.
        subject: The model.
        shares_of: Gives what such a step takes from each layer; by default `global_shares`.
    """
    found: dict[str, Treatment] = {}
    for group in groups_of(recipe, subject):
        names = tuple(layer.name for layer in group.layers)
        if not any(map(_is_global, group.steps)):
            found.update(dict.fromkeys(names if group.steps else (), group.steps))
            continue
        steps: dict[str, list[Step]] = {name: [] for name in names}
        for step in group.steps:
            shares = (shares_of or global_shares)(step, subject, names) if _is_global(step) else {}
            for name, own in steps.items():
                localized = _localized(step, shares.get(name))
                own.extend(() if localized is None else (localized,))
        found.update({name: tuple(own) for name, own in steps.items() if own})
    return found


@lru_cache(maxsize=_REMEMBERED)
def axis_of(treatment: Treatment) -> tuple[Treatment, Treatment, float] | None:
    """Returns (treatment at a standard amount, treatment without that step, amount), or None.

    Treatments that differ in the first of these only lie on one line and can be interpolated.
    """
    for index, step in enumerate(treatment):
        if _AMOUNT in type(step.config).model_fields:
            amount = float(getattr(step.config, _AMOUNT))
            rest = treatment[:index] + treatment[index + 1 :]
            standard = (*treatment[:index], with_amount(step, _AMOUNTS[0]), *treatment[index + 1 :])
            return standard, rest, amount
    return None


@lru_cache(maxsize=_REMEMBERED)
def with_amount(step: Step, amount: float) -> Step:
    """Returns a step with another amount."""
    return Step(step.method, step.config.model_copy(update={_AMOUNT: amount}))


def default_treatments(subject: Subject) -> list[Treatment]:
    """Returns what the table holds from the start; everything else is added when first asked."""
    steps = [step for key in METHODS for step in _standard_steps(METHODS.get(key), subject)]
    found: list[Treatment] = [(step,) for step in steps]
    partner = next((s for key in _PARTNERS for s in steps if s.method == key), None)
    if partner is not None:
        ladders = [step for step in steps if _AMOUNT in type(step.config).model_fields]
        found += [(step, partner) for step in ladders]
    return found


def _standard_steps(method: Method, subject: Subject) -> list[Step]:
    fields = method.Config.model_fields
    if method.trains or isinstance(method, StructureMethod):
        return []
    options: list[dict[str, Any]] = [{}]
    if _AMOUNT in fields:
        options = [{_AMOUNT: amount} for amount in _AMOUNTS]
    elif any(field.is_required() for field in fields.values()):
        return []
    if _SCOPE in fields:
        options = [{**values, _SCOPE: _LAYER} for values in options]
    configs = [method.Config.parse(values, what=method.key) for values in options]
    return [Step(method.key, c) for c in configs if not method.supports(subject, c)]


def global_shares(step: Step, subject: Subject, names: tuple[str, ...]) -> Mapping[str, float]:
    """Returns the share of each layer's weights that a step takes which ranks them together."""
    plugin = step.plugin
    if not _is_global(step) or not isinstance(plugin, WeightMethod):
        return {}
    weights = {la.name: layer_weight(subject, la) for la in subject.layers if la.name in names}
    changed = plugin.change_weights(weights, step.config)
    return {name: float(np.mean(changed[name] != value)) for name, value in weights.items()}


def _is_global(step: Step) -> bool:
    return getattr(step.config, _SCOPE, None) == _GLOBAL


def _localized(step: Step, share: float | None) -> Step | None:
    if share is None:
        return step
    if share <= 0:
        return None
    update = {_AMOUNT: min(share, 1 - 1e-6), _SCOPE: _LAYER}
    return Step(step.method, step.config.model_copy(update=update))
