"""Recipes that change the network's structure first: which there are, and how they are written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from workbench.compression.method import GraphMethod, StructureMethod
from workbench.compression.methods import METHODS
from workbench.compression.recipe import EVERY_LAYER, Recipe, Step
from workbench.compression.subject import Subject
from workbench.core.errors import WorkbenchError

_AMOUNT, _EPOCHS = "amount", "epochs"
_COARSE = tuple(round(0.1 * step, 2) for step in range(1, 10))
_FINE = tuple(round(0.05 + 0.1 * step, 2) for step in range(1, 10))
_LONGER = 4
_SAME = 0.003


@dataclass(frozen=True)
class Structure:
    """A structural step that a search may take, with what is known before it is taken.

    Attributes:
        step: What to do to the whole network.
        kept: Share of the parameters that stays.
        effort: Epochs of training that belong to it, over the method's own default.
    """

    step: Step
    kept: float
    effort: float

    @property
    def key(self) -> str:
        """Names it."""
        return str(self.step)


def structures_of(
    subject: Subject, *, fine: bool = False, known: dict[str, float | None] | None = None
) -> list[Structure]:
    """Returns the structural steps that may be taken, at the method's own effort and at a longer.

    Of steps that leave the same network the mildest is kept.

    Args:
        subject: The model.
        fine: The amounts between the usual ones, too.
        known: Shares that stay, by step, from an earlier call; added to.
    """
    known = {} if known is None else known
    found: list[Structure] = []
    for method in _adjustable():
        kept_before: list[float] = []
        for amount in sorted((*_COARSE, *(_FINE if fine else ()))):
            key = f"{method}:{amount}"
            if key not in known:
                known[key] = _kept(method, subject, amount)
            kept = known[key]
            if kept is None or any(abs(kept - other) < _SAME * other for other in kept_before):
                continue
            kept_before.append(kept)
            found += [Structure(step, kept, effort) for step, effort in _steps(method, amount)]
    return found


def structure_of(step: Step, subject: Subject) -> Structure:
    """Returns what is known of one step: the share that stays is guessed where nothing tells."""
    plugin = step.plugin
    amount = float(getattr(step.config, _AMOUNT, 0.5))
    kept = plugin.kept(subject, step.config) if isinstance(plugin, StructureMethod) else None
    field = type(step.config).model_fields.get(_EPOCHS)
    usual = float(field.default) if field is not None and field.default else 1.0
    effort = float(getattr(step.config, _EPOCHS, usual)) / usual
    return Structure(step, (1 - amount) ** 2 if kept is None else kept, effort)


def split_structure(recipe: Recipe) -> tuple[Step | None, Recipe]:
    """Returns the structural step that a recipe takes for all layers, and the rest of it.

    Without such a step, or where the rest cannot be told apart, it is (None, the recipe).
    """
    steps = [step for step in recipe.all_steps() if _is_structural(step)]
    if len(steps) != 1:
        return None, recipe
    (step,) = steps
    if not recipe.layers:
        return step, Recipe(steps=tuple(s for s in recipe.steps if s != step))
    if EVERY_LAYER not in recipe.layers or not all(step in own for own in recipe.layers.values()):
        return None, recipe
    rest = {n: tuple(s for s in own if s != step) for n, own in recipe.layers.items()}
    if not rest[EVERY_LAYER]:
        rest = {n: own for n, own in rest.items() if own}
    return step, Recipe(layers=rest)


def with_structure(recipe: Recipe, step: Step) -> Recipe:
    """Returns the recipe with a structural step before everything else."""
    if not recipe.layers:
        return Recipe(steps=(step, *recipe.steps))
    layers = {name: (step, *steps) for name, steps in recipe.layers.items()}
    return Recipe(layers={EVERY_LAYER: (step,), **layers})


def _adjustable() -> Iterator[str]:
    for key in METHODS:
        plugin = METHODS.get(key)
        is_structural = isinstance(plugin, StructureMethod) and not isinstance(plugin, GraphMethod)
        if is_structural and _AMOUNT in plugin.Config.model_fields:
            yield key


def _kept(method: str, subject: Subject, amount: float) -> float | None:
    """Returns the share of the parameters that stays; None if the step cannot be taken."""
    plugin = METHODS.get(method)
    config = plugin.Config.parse({_AMOUNT: amount}, what=method)
    if not isinstance(plugin, StructureMethod) or plugin.supports(subject, config) is not None:
        return None
    try:
        kept = structure_of(Step(method, config), subject).kept
    except WorkbenchError:
        return None  # it removes nothing of this model, as the method's own words would say
    return kept if kept < 1 else None


def _steps(method: str, amount: float) -> Iterator[tuple[Step, float]]:
    config_type = METHODS.get(method).Config
    usual = config_type.parse({_AMOUNT: amount}, what=method)
    yield Step(method, usual), 1.0
    epochs = getattr(usual, _EPOCHS, 0)
    if epochs:
        longer = {_AMOUNT: amount, _EPOCHS: epochs * _LONGER}
        yield Step(method, config_type.parse(longer, what=method)), float(_LONGER)


def _is_structural(step: Step) -> bool:
    return step.plugin.stage == "structure"
