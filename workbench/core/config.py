"""Configs: what comes from a form, a notebook, HTTP or disk. All problems are told at once."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from types import UnionType
from typing import Any, ClassVar, Self, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic.fields import FieldInfo

from workbench.core.errors import InputError, did_you_mean

_SHOWN = 120
_LISTS = (tuple, list)


class Config(BaseModel):
    """Base of every config. Fields are the form, the slider, the CLI option and the docs row.

    Give each field a `pydantic.Field(description=…)`; numeric knobs also `ge`/`le`.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", arbitrary_types_allowed=True, defer_build=True
    )
    version: ClassVar[int] = 1

    @model_validator(mode="before")
    @classmethod
    def _lists_from_text(cls, values: Any) -> Any:
        """Takes "64, 32" for a list of values: a form and a shell have nothing but text."""
        if not isinstance(values, Mapping):
            return values
        return {name: _listed(cls.model_fields.get(name), value) for name, value in values.items()}

    @classmethod
    def parse(cls, values: Mapping[str, Any], *, what: str) -> Self:
        """Checks `values`; `what` names the thing in the message, as in "method 'prune'".

        Raises:
            InputError: With every problem at once and the nearest name for unknown options.
        """
        try:
            return cls.model_validate(dict(values))
        except ValidationError as error:
            raise InputError(
                f"The options of {what} are not valid.",
                problems=[_problem(cls, dict(item)) for item in error.errors()],
                hint=f"Options: {', '.join(cls.model_fields) or 'none'}.",
            ) from error

    def to_json(self) -> dict[str, Any]:
        """Returns the fields as JSON-able values."""
        return self.model_dump(mode="json")


class NoConfig(Config):
    """The config of a plug-in without options."""


def saved_config(kind: str, config: Config) -> dict[str, Any]:
    """Returns `config` in its saved form, `{"kind", "version", …}`."""
    return {"kind": kind, "version": config.version, **config.to_json()}


def _listed(field: FieldInfo | None, value: Any) -> Any:
    if field is None or not isinstance(value, str):
        return value
    options = (
        get_args(field.annotation) if get_origin(field.annotation) in (Union, UnionType) else ()
    )
    kinds = [get_origin(kind) for kind in options or (field.annotation,)]
    if not any(kind in _LISTS for kind in kinds) or (options and "," not in value):
        return value
    return [part.strip() for part in value.strip("()[] ").split(",") if part.strip()]


def _problem(cls: type[Config], item: dict[str, Any]) -> str:
    place = ".".join(str(part) for part in item["loc"])
    if item["type"] == "extra_forbidden":
        return f"unknown option '{place}'{did_you_mean(place, cls.model_fields)}"
    message = str(item["msg"]).removeprefix("Value error, ")
    if not place:
        return message
    got = "" if item["type"] == "missing" else f", got {_short(item['input'])}"
    return f"{place}: {message}{got}"


def _short(value: Any) -> str:
    text = reprlib.repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
