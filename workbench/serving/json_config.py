"""A request's JSON body as a config, with the types that /openapi.json announces.

A form or a shell may write a number as text; a program's JSON may not, nor `true` for 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from workbench.core.config import Config
from workbench.core.errors import InputError
from workbench.serving.jsonbody import json_kind, parse_order
from workbench.serving.problems import Problems

C = TypeVar("C", bound=Config)
_TYPES: dict[str, tuple[type, ...]] = {
    "array": (list,),
    "boolean": (bool,),
    "integer": (int,),
    "null": (type(None),),
    "number": (int, float),
    "object": (dict,),
    "string": (str,),
}
_WORDS = {"array": "a list", "integer": "a whole number", "null": "null", "string": "text"}


def parse_config(body: bytes, config: type[C], *, what: str) -> C:
    """Returns the config in a JSON body.

    Raises:
        BadRequestError: It is not a JSON object.
        TooLargeError: It is longer than any config.
        InputError: A value has another type than described, or is not allowed; all at once.
    """
    values = parse_order(body)
    schema = config.model_json_schema()
    found = Problems()
    found.add_all(_problems(values, schema, schema.get("$defs", {}), ""))
    problems = found.told()
    try:
        parsed = config.parse(values, what=what)
    except InputError as error:
        told = {problem.partition(":")[0] for problem in error.problems}
        error.problems += tuple(p for p in problems if p.partition(":")[0] not in told)
        raise
    if problems:
        raise InputError(
            f"The options of {what} are not valid.",
            problems=problems,
            hint=f"Options: {', '.join(config.model_fields)}.",
        )
    return parsed


def _problems(
    value: Any, schema: Mapping[str, Any], known: Mapping[str, Any], place: str
) -> list[str]:
    """Returns what has another type; names and ranges are the config's own matter."""
    if "$ref" in schema:
        schema = known[schema["$ref"].rpartition("/")[2]]
    options = [o.get("type", "object") for o in schema.get("anyOf", [schema])]
    for option in schema.get("anyOf", ()):
        if not _problems(value, option, known, place):
            return []
    types = tuple(cls for option in options for cls in _TYPES[option])
    is_right = isinstance(value, types) and not (isinstance(value, bool) and bool not in types)
    if not is_right:
        right = " or ".join(_WORDS.get(option, f"a {option}") for option in options)
        return [f"{place or 'body'}: got {json_kind(value)}; {right} would be right"]
    found: list[str] = []
    for option in schema.get("anyOf", [schema]):
        inner = known[option["$ref"].rpartition("/")[2]] if "$ref" in option else option
        found += _inside(value, inner, known, place)
    return found


def _inside(
    value: Any, schema: Mapping[str, Any], known: Mapping[str, Any], place: str
) -> list[str]:
    found: list[str] = []
    if isinstance(value, dict):
        fields, others = schema.get("properties", {}), schema.get("additionalProperties")
        for name, item in value.items():
            inner = fields.get(name, others)
            if isinstance(inner, dict):
                found += _problems(item, inner, known, f"{place}.{name}".lstrip("."))
    elif isinstance(value, list) and "items" in schema:
        for index, item in enumerate(value):
            found += _problems(item, schema["items"], known, f"{place}[{index}]")
    return found
