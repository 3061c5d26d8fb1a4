"""Recipes: what is done to a model, as text, as JSON, or per layer; all problems at once.

Grammar: `name[:positional][,knob=value]` joined by ` + `, as in "prune:0.5,scope=layer + half".
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

import orjson

from workbench.compression.method import STAGES, Format, Method
from workbench.compression.methods import METHODS
from workbench.core.config import Config
from workbench.core.errors import InputError, WorkbenchError
from workbench.core.ids import digest_json

EVERY_LAYER = "*"
_JOIN = re.compile(r"\s*\+\s*")
_NAME = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_]*)\s*")
_EMPTY = {"", "baseline", "none"}
_REMEMBERED, _NO_NUMBER = 4096, b"null"
_HINT = (
    "A recipe reads 'name:value,knob=value + name …', as in 'prune:0.5 + quantize_static:8'; "
    "`workbench methods` lists all methods."
)


@dataclass(frozen=True)
class Step:
    """One method with its checked options."""

    method: str
    config: Config

    def __str__(self) -> str:
        return self._text

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        return hash((self.method, self.config))

    @cached_property
    def _text(self) -> str:
        fields = type(self.config).model_fields
        values = self._values
        names = list(fields)
        text = self.method + (f":{_text(values[names[0]])}" if names else "")
        for name in names[1:]:
            if values[name] != fields[name].default:
                text += f",{name}={_text(values[name])}"
        return text

    @cached_property
    def _values(self) -> dict[str, Any]:
        return self.config.to_json()

    @property
    def plugin(self) -> Method:
        """The method."""
        return METHODS.get(self.method)

    def to_json(self) -> dict[str, Any]:
        """Returns the step as JSON-able values."""
        return {"kind": self.method, "version": self.config.version, **self._values}


@dataclass(frozen=True)
class Recipe:
    """An ordered list of steps for all layers, or one list for each named layer.

    Attributes:
        steps: For all layers; empty for the baseline.
        layers: By layer name ("*" for all others); empty unless the recipe is per layer.
    """

    steps: tuple[Step, ...] = ()
    layers: Mapping[str, tuple[Step, ...]] = field(default_factory=dict)

    def __str__(self) -> str:
        return self._text

    @cached_property
    def _text(self) -> str:
        if self.layers:
            texts = {name: _joined(steps) for name, steps in self.layers.items()}
            return json.dumps(texts, ensure_ascii=False)
        return _joined(self.steps)

    def __hash__(self) -> int:
        return hash(self.digest)

    @property
    def is_baseline(self) -> bool:
        """Whether nothing is done."""
        return not self.steps and not any(self.layers.values())

    @property
    def is_current(self) -> bool:
        """Whether its methods are still those that its options were checked by."""
        return all(type(step.config) is step.plugin.Config for step in self._all_steps)

    @cached_property
    def digest(self) -> str:
        """The same for equal recipes, however they were written."""
        return digest_json(self.to_json())

    def to_json(self) -> dict[str, Any]:
        """Returns the recipe as JSON-able values."""
        if self.layers:
            named = sorted(self.layers.items())
            return {"layers": {name: [s.to_json() for s in steps] for name, steps in named}}
        return {"steps": [step.to_json() for step in self.steps]}

    def all_steps(self) -> tuple[Step, ...]:
        """Returns every step once, in stage order."""
        return self._all_steps

    @cached_property
    def _all_steps(self) -> tuple[Step, ...]:
        steps = dict.fromkeys([*self.steps, *(s for steps in self.layers.values() for s in steps)])
        return tuple(sorted(steps, key=lambda step: STAGES.index(step.plugin.stage)))


def parse(recipe: Recipe | str | Sequence[Any] | Mapping[str, Any]) -> Recipe:
    """Returns the recipe that text, its JSON form, a list of steps, or a mapping of layers means.

    Raises:
        InputError: With every problem at once: unknown methods (and the nearest), bad values, an
            order that cannot work and why.
    """
    if isinstance(recipe, Recipe):
        return recipe
    known = _remembered(recipe)
    return known if known is not None and known.is_current else _checked(recipe)


def _remembered(recipe: Any) -> Recipe | None:
    """Returns the recipe that was read from the same text or JSON before; None if it is not JSON.

    Sliders ask the same recipes again and again, and reading one takes longer than its estimate.
    """
    if isinstance(recipe, str):
        return _read_text(recipe)
    try:
        data = orjson.dumps(recipe)
    except TypeError:
        return None
    return None if _NO_NUMBER in data else _read_json(data)  # NaN: the message shows it as given


@lru_cache(maxsize=_REMEMBERED)
def _read_text(text: str) -> Recipe:
    return _checked(text)


@lru_cache(maxsize=_REMEMBERED)
def _read_json(data: bytes) -> Recipe:
    return _checked(orjson.loads(data))


def _checked(recipe: Any) -> Recipe:
    problems: list[str] = []
    parsed = _parse(recipe, problems)
    for where, steps in [("", parsed.steps), *parsed.layers.items()]:
        problems += [_at(where, problem) for problem in order_problems(steps)]
    if problems:
        raise InputError(
            f"The recipe {_shown(recipe)} is not valid.", problems=problems, hint=_HINT
        )
    return parsed


def order_problems(steps: Sequence[Step]) -> list[str]:
    """Returns why these steps cannot follow each other, each with what would be right."""
    problems: list[str] = []
    current: Format = "float32"
    for index, step in enumerate(steps):
        plugin, earlier = step.plugin, steps[:index]
        late = [s for s in earlier if STAGES.index(s.plugin.stage) > STAGES.index(plugin.stage)]
        if late:
            problems.append(_late(step, late[0], steps))
        elif current not in plugin.accepts:
            made_by = next(s.method for s in reversed(earlier) if s.plugin.produces == current)
            problems.append(
                f"'{step.method}' needs {' or '.join(sorted(plugin.accepts))} weights, but "
                f"'{made_by}' before it already made them {current}; keep one of the two"
            )
        current = plugin.produces or current
    return problems


def _late(step: Step, earlier: Step, steps: Sequence[Step]) -> str:
    changes = {"structure": "the network's shape", "weights": "float weights"}
    right = sorted(steps, key=lambda item: STAGES.index(item.plugin.stage))
    keeps_shape = step.plugin.stage == "structure" and step.plugin.produces is not None
    does = "trains the network" if keeps_shape else f"changes {changes[step.plugin.stage]}"
    return (
        f"'{step.method}' {does}, so it comes before '{earlier.method}'; write '{_joined(right)}'"
    )


def _parse(recipe: Any, problems: list[str]) -> Recipe:
    if isinstance(recipe, str) and recipe.lstrip().startswith(("{", "[")):
        try:
            recipe = json.loads(recipe)
        except json.JSONDecodeError as error:
            problems.append(f"it starts like JSON, but is not: {error}")
            return Recipe()
    if isinstance(recipe, Mapping) and set(recipe) == {"layers"}:
        recipe = recipe["layers"]
    if isinstance(recipe, Mapping) and "kind" not in recipe and set(recipe) != {"steps"}:
        made: dict[str, Step] = {}
        layers = {
            str(name): _steps(part, problems, str(name), made) for name, part in recipe.items()
        }
        return Recipe(layers=layers)
    if isinstance(recipe, Mapping) and set(recipe) == {"steps"}:
        recipe = recipe["steps"]
    return Recipe(_steps(recipe, problems, "", {}))


def _steps(part: Any, problems: list[str], where: str, made: dict[str, Step]) -> tuple[Step, ...]:
    """Returns the steps of one part; those already `made`, by how they are written, are shared."""
    found: list[Step] = []
    for item in _items(part):
        try:
            key = repr(item)
            if key not in made:
                made[key] = _step(item)
            found.append(made[key])
        except WorkbenchError as error:
            problems += [_at(where, text) for text in error.problems or (error.message,)]
    return tuple(found)


def _items(part: Any) -> Iterable[Any]:
    if isinstance(part, str):
        return [] if part.strip() in _EMPTY else _JOIN.split(part.strip())
    if isinstance(part, Mapping):
        return [part]
    if isinstance(part, Sequence):
        return [step for item in part for step in _items(item)]
    return [part]


def _step(item: Any) -> Step:
    if isinstance(item, Mapping):
        values = {k: v for k, v in item.items() if k not in {"kind", "version"}}
        name = str(item.get("kind", ""))
    elif isinstance(item, str):
        name, values = _from_text(item)
    else:
        raise InputError(f"got {item!r} where a step such as 'prune:0.5' would be right")
    plugin = METHODS.get(name)
    try:
        return Step(name, plugin.Config.parse(values, what=f"method '{name}'"))
    except InputError as error:
        options = ", ".join(plugin.Config.model_fields) or "none"
        problems = [f"{name}: {p} (options: {options})" for p in error.problems]
        raise InputError(error.message, problems=problems) from error


def _from_text(text: str) -> tuple[str, dict[str, Any]]:
    match = _NAME.match(text)
    if match is None:
        raise InputError(f"'{text}' does not start with a method's name")
    name, rest = match.group(1), text[match.end() :].strip()
    fields = list(METHODS.get(name).Config.model_fields)
    values: dict[str, Any] = {}
    if rest.startswith(":"):
        positional, _, rest = rest[1:].partition(",")
        if not fields:
            raise InputError(f"'{name}' takes no value, got '{positional.strip()}'")
        values[fields[0]] = _value(positional)
    elif rest.startswith(","):
        rest = rest[1:]
    elif rest:
        raise InputError(f"'{text}': after '{name}' comes ':value' or ',knob=value', got '{rest}'")
    for part in filter(None, (part.strip() for part in rest.split(","))):
        knob, equals, value = part.partition("=")
        if not equals:
            raise InputError(f"'{text}': '{part}' has no '='; 'knob=value' would be right")
        values[knob.strip()] = _value(value)
    return name, values


def _value(text: str) -> Any:
    text = text.strip()
    try:
        value = json.loads(text)
    except json.JSONDecodeError:
        return text
    return value if isinstance(value, int | float | bool) else text


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _joined(steps: Iterable[Step]) -> str:
    return " + ".join(str(step) for step in steps) or "baseline"


def _at(where: str, problem: str) -> str:
    return f"{where}: {problem}" if where else problem


def _shown(recipe: Any) -> str:
    text = recipe if isinstance(recipe, str) else json.dumps(recipe, default=str)
    return f"'{text}'" if len(text) < 120 else f"'{text[:117]}…'"
