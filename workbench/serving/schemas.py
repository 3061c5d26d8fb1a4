"""JSON schemas of what a model takes and answers, from its signature and description."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from workbench.core.records import Description
from workbench.core.signature import TensorSpec
from workbench.serving.served import Served
from workbench.tasks import TASKS

Schema = dict[str, Any]


def object_schema(required: Mapping[str, Any], optional: Mapping[str, Any] | None = None) -> Schema:
    """Returns the schema of an object with these properties and no others."""
    return {
        "type": "object",
        "required": list(required),
        "properties": {**required, **(optional or {})},
        "additionalProperties": False,
    }


def tensor_schema(spec: TensorSpec) -> Schema:
    """Returns the schema of a tensor as nested lists; symbolic sizes are at least 1."""
    schema = _number_schema(spec.dtype)
    for dim in reversed(spec.shape):
        size = {"minItems": dim, "maxItems": dim} if isinstance(dim, int) else {"minItems": 1}
        schema = {"type": "array", "items": schema, **size}
    return schema


def sample_schema(served: Served) -> Schema:
    """Returns the schema of one sample or several; what a modality reads has its example."""
    example = served.decoder.example()
    shown = {} if example is None else {"examples": [example]}
    specs = served.signature.inputs
    if served.description is not None and served.description.modality is not None:
        return {"description": served.decoder.takes, **shown}
    if len(specs) > 1:
        return object_schema({spec.name: _one_or_more(spec) for spec in specs}) | shown
    return _one_or_more(specs[0]) | shown


def answer_schema(description: Description | None) -> Schema:
    """Returns the schema of one answer of plain /predict."""
    if description is not None:
        task = TASKS.get(description.task)
        return object_schema(task.answer_schema(description.labels))
    scores = {"type": "object", "additionalProperties": {"type": "number"}}
    value = object_schema({"value": {}})
    return {"anyOf": [value, object_schema({"scores": scores}), object_schema({"label": {}})]}


def _one_or_more(spec: TensorSpec) -> Schema:
    if spec.is_batched or spec.shape[:1] == (1,):
        one = TensorSpec(spec.name, spec.dtype, spec.shape[1:])
        return {"anyOf": [tensor_schema(one), {"type": "array", "items": tensor_schema(one)}]}
    return tensor_schema(spec)


def _number_schema(dtype: str) -> Schema:
    if dtype == "str":
        return {"type": "string"}
    kind = np.dtype(dtype).kind
    if kind == "b":
        return {"type": "boolean"}
    if kind in "iu":
        bounds = np.iinfo(dtype)
        return {"type": "integer", "minimum": int(bounds.min), "maximum": int(bounds.max)}
    return {"type": ["number", "boolean"]}
