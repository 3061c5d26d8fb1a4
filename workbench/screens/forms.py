"""Forms made of configs: every field of a `Config` becomes a control, with no further edit."""

from __future__ import annotations

from typing import Any

from pydantic_core import PydanticUndefined

from workbench.core.config import Config
from workbench.data.dataset import open_dataset
from workbench.families import FAMILIES
from workbench.flow.workspace import Workspace
from workbench.store.datasets import DatasetRecord
from workbench.training.config import TrainConfig

_COMMON = ("epochs", "lr", "batch_size", "seed")
_PREFERRED = ("cnn", "mlp")
MOST = 100  # entries of a list to choose from, newest first: a page cannot show more
_NOT_SHOWN = ("frame", "dataset", "inputs", "targets", "transform", "options")


def knobs_of(config: type[Config], names: tuple[str, ...] | None = None) -> list[dict[str, Any]]:
    """Returns a description of each field: kind of control, limits, default, words.

    Args:
        config: The config.
        names: Only these fields, in this order.
    """
    properties = config.model_json_schema()["properties"]
    chosen = names or tuple(properties)
    return [
        _knob(config, name, properties[name])
        for name in chosen
        if name in properties and name not in _NOT_SHOWN
    ]


def _knob(config: type[Config], name: str, schema: dict[str, Any]) -> dict[str, Any]:
    default = config.model_fields[name].default
    options = schema.get("anyOf", [schema])
    plain = [o for o in options if not _choices(o)]
    numbers = [o for o in plain if o.get("type") in ("number", "integer")]
    number = next((o for o in numbers if _is_bounded(o)), numbers[0] if numbers else None)
    choices = [c for o in options for c in _choices(o)]
    knob: dict[str, Any] = {
        "name": name,
        "default": None if default is PydanticUndefined else default,
        "is_required": default is PydanticUndefined,
        "description": schema.get("description", ""),
        "start": schema.get("examples", [None])[0],
        "kind": "text",
    }
    if number is not None:
        knob |= {"kind": "number", "choices": choices, **_limits(number)}
    elif choices:
        knob |= {"kind": "choice", "choices": choices}
    elif any(o.get("type") == "boolean" for o in options):
        knob |= {"kind": "bool"}
    return _json_able(knob)


def _is_bounded(number: dict[str, Any]) -> bool:
    return None not in (_limits(number)["min"], _limits(number)["max"])


def _choices(schema: dict[str, Any]) -> list[Any]:
    if "const" in schema:
        return [schema["const"]]
    return list(schema.get("enum", ()))


def _limits(schema: dict[str, Any]) -> dict[str, Any]:
    low = schema.get("minimum", schema.get("exclusiveMinimum"))
    high = schema.get("maximum", schema.get("exclusiveMaximum"))
    return {
        "min": low,
        "max": high,
        "is_open_low": "exclusiveMinimum" in schema,
        "is_open_high": "exclusiveMaximum" in schema,
        "is_integer": schema["type"] == "integer",
        "step": 1 if schema["type"] == "integer" else None,
    }


def _json_able(knob: dict[str, Any]) -> dict[str, Any]:
    plain = (str, int, float, bool, type(None), list)
    return {k: v if isinstance(v, plain) else str(v) for k, v in knob.items()}


def training_form(workspace: Workspace) -> dict[str, Any]:
    """Returns what the form of a training offers: data, families, their knobs."""
    return {
        "datasets": [_data(workspace, record) for record in workspace.store.datasets.list()[:MOST]],
        "common": knobs_of(TrainConfig, _COMMON),
        "families": [_family(key) for key in FAMILIES],
        "preferred": [key for key in _PREFERRED if key in FAMILIES],
    }


def _data(workspace: Workspace, record: DatasetRecord) -> dict[str, Any]:
    """Returns a dataset for the form, with the families that cannot learn it and why."""
    data = open_dataset(workspace.store, record.artifact)
    usable = (key for key in FAMILIES if FAMILIES.info(key).reason is None)
    reasons = {key: FAMILIES.get(key).fits(data.signature, data.task) for key in usable}
    return {
        "ref": record.ref,
        "label": record.ref.removeprefix("dataset:"),
        "unfit": {key: reason for key, reason in reasons.items() if reason is not None},
    }


def _family(key: str) -> dict[str, Any]:
    info = FAMILIES.info(key)
    knobs = knobs_of(FAMILIES.get(key).Config) if info.summary else []
    return {"key": key, "summary": info.summary, "reason": info.reason, "knobs": knobs}
