"""The endpoint described for programs: OpenAPI 3.1, made from its routes and its models.

Source: https://spec.openapis.org/oas/v3.1.0.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from workbench.core.config import Config
from workbench.core.reason import LONGEST
from workbench.serving.asker import REASON
from workbench.serving.protocol import Dialect
from workbench.serving.routes import Route
from workbench.serving.schemas import Schema
from workbench.serving.served import Served

_VERSION = "3.1.0"
_TOKEN = "token"
_ERROR = "Error"
_SCHEMAS = "#/components/schemas/"


def describe(
    routes: Iterable[Route], dialects: Mapping[str, Dialect], models: Sequence[Served]
) -> dict[str, Any]:
    """Returns the OpenAPI document.

    Args:
        routes: All paths that the endpoint answers.
        dialects: By key; they know the form of requests and answers.
        models: Those whose names and tensors may be told to the caller.
    """
    paths: dict[str, dict[str, Any]] = {}
    taken: list[type[Config]] = []
    speaking: dict[str, Dialect] = {}
    for route in routes:
        dialect = dialects.get(route.dialect)
        if dialect is not None and route.predicts:
            speaking[route.dialect] = dialect
        if route.takes is not None:
            taken.append(route.takes)
        operation = _operation(route, dialect, models)
        paths.setdefault(route.path, {})[route.method.lower()] = operation
    return {
        "openapi": _VERSION,
        "info": {
            "title": "workbench endpoint",
            "version": "1",
            "description": "Send the token to see the served models and their tensors.",
        },
        "servers": [{"url": "."}],
        "paths": paths,
        "components": {
            "securitySchemes": {_TOKEN: {"type": "http", "scheme": "bearer"}},
            "schemas": {
                _ERROR: _error_schema(),
                **_config_schemas(taken),
                **_schemas(speaking, models),
            },
        },
    }


def _operation(route: Route, dialect: Dialect | None, models: Sequence[Served]) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": "The answer."}
    operation: dict[str, Any] = {
        "operationId": _operation_id(route),
        "summary": route.summary or route.path,
        "tags": [route.dialect or "endpoint"],
        "parameters": _parameters(route, models),
        "responses": {str(route.status): answer, "default": _refusal()},
    }
    if route.scope is not None:
        operation["security"] = [{_TOKEN: [route.scope]}]
    if route.not_ready:
        operation["responses"]["503"] = {"description": "It is not ready."}
    if route.takes is not None:
        content = {"application/json": {"schema": {"$ref": f"{_SCHEMAS}{route.takes.__name__}"}}}
        operation["requestBody"] = {"required": True, "content": content}
    if route.predicts and dialect is not None:
        operation["requestBody"] = _body(dialect, models)
        answer["content"] = _answer_content(route, dialect, models)
    return operation


_REASON = {
    "name": REASON,
    "in": "header",
    "description": f"Why, for the audit log: at most {LONGEST} characters, percent-encoded UTF-8.",
    "schema": {"type": "string"},
}


def _operation_id(route: Route) -> str:
    words = re.findall(r"\w+", route.path)
    ending = ["root"] if route.path.endswith("/") else []
    return "_".join([route.dialect or "endpoint", route.method.lower(), *words, *ending])


def _parameters(route: Route, models: Sequence[Served]) -> list[dict[str, Any]]:
    known = {
        "model": dict.fromkeys(served.name for served in models),
        "version": dict.fromkeys(served.version for served in models),
        "label": dict.fromkeys(s.source.alias for s in models if s.source.alias is not None),
    }
    found = []
    for name in re.findall(r"\{(\w+)\}", route.path):
        schema: Schema = {"type": "string", "minLength": 1}
        if known.get(name):
            schema["examples"] = list(known[name])
        found.append({"name": name, "in": "path", "required": True, "schema": schema})
    if route.scope == "manage" and route.method != "GET":
        found.append(_REASON)
    return found


def _answer_content(route: Route, dialect: Dialect, models: Sequence[Served]) -> dict[str, Any]:
    """An answer in pieces is a text: what one line or event holds, the specification cannot say."""
    if route.in_pieces:
        return {media: {} for media in dialect.piece_media}
    return {"application/json": {"schema": _any_of(dialect, "answer", models)}}


def _body(dialect: Dialect, models: Sequence[Served]) -> dict[str, Any]:
    content: dict[str, Any] = {media: {} for media in dialect.media}
    content["application/json"] = {"schema": _any_of(dialect, "request", models)}
    return {"required": True, "content": content}


def _any_of(dialect: Dialect, side: str, models: Sequence[Served]) -> Schema:
    refs = [
        {"$ref": f"{_SCHEMAS}{_schema_name(dialect.key, side, place)}"}
        for place in range(len(models))
    ]
    return {"anyOf": refs} if refs else {}


def _schemas(dialects: Mapping[str, Dialect], models: Sequence[Served]) -> dict[str, Schema]:
    found: dict[str, Schema] = {}
    for key, dialect in dialects.items():
        for place, served in enumerate(models):
            title = {"title": f"{served.name}@{served.version}"}
            request, answer = dialect.request_schema(served), dialect.response_schema(served)
            found[_schema_name(key, "request", place)] = {**title, **request}
            found[_schema_name(key, "answer", place)] = {**title, **answer}
    return found


def _config_schemas(taken: Iterable[type[Config]]) -> dict[str, Schema]:
    found: dict[str, Schema] = {}
    for config in taken:
        schema = config.model_json_schema(ref_template=f"{_SCHEMAS}{{model}}")
        found.update(schema.pop("$defs", {}))
        found[config.__name__] = schema
    return found


def _schema_name(key: str, side: str, place: int) -> str:
    """Names of components may hold ASCII letters only, names of models any."""
    return f"{key}.{side}.{place}"


def _refusal() -> dict[str, Any]:
    schema = {"$ref": f"{_SCHEMAS}{_ERROR}"}
    content = {"application/json": {"schema": schema}}
    return {"description": "What was got, what would be right, what to do.", "content": content}


def _error_schema() -> Schema:
    text = {"type": "string"}
    return {
        "type": "object",
        "required": ["code", "message", "hint", "problems", "context"],
        "properties": {
            "code": text,
            "message": text,
            "hint": text,
            "problems": {"type": "array", "items": text},
            "context": {"type": "object"},
        },
    }
