"""What the Open Inference Protocol's REST document says, with the names of a served model put in.

Written from the facts of specification/protocol/open_inference_rest.yaml (version 2.0, Apache-2.0)
in https://github.com/kserve/open-inference-protocol: paths, methods, schemas and status codes.
"""

from __future__ import annotations

from typing import Any

_TEXT = {"type": "string"}
_TEXTS = {"type": "array", "items": _TEXT}
_SHAPE = {"type": "array", "items": {"type": "integer"}}
_PARAMETERS = {"type": "object"}
_HEALTH = ("/v2/health/live", "/v2/health/ready")


def document(model: str, version: str) -> dict[str, Any]:
    """Returns the OpenAPI document for one version of one model."""
    base = f"/v2/models/{model}/versions/{version}"
    paths: dict[str, Any] = {path: {"get": _answers()} for path in (*_HEALTH, f"{base}/ready")}
    paths["/v2/"] = {"get": _answers("metadata_server_response", "error_response")}
    paths[base] = {"get": _answers("metadata_model_response")}
    body = {"content": {"application/json": {"schema": _ref("inference_request")}}}
    infer = _answers("inference_response", "error_response")
    paths[f"{base}/infer"] = {"post": {**infer, "requestBody": body}}
    return {
        "openapi": "3.0.0",
        "info": {"title": "Data Plane", "version": "2.0"},
        "paths": paths,
        "components": {"schemas": _schemas()},
    }


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _answers(right: str | None = None, wrong: str | None = None) -> dict[str, Any]:
    found: dict[str, Any] = {"200": {"description": "OK"}}
    if right is not None:
        found["200"]["content"] = {"application/json": {"schema": _ref(right)}}
    if wrong is not None:
        content = {"application/json": {"schema": _ref(wrong)}}
        found["400"] = {"description": "Bad Request", "content": content}
    return {"responses": found}


def _object(*required: str, **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required)}


def _list(name: str) -> dict[str, Any]:
    return {"type": "array", "items": _ref(name)}


def _schemas() -> dict[str, Any]:
    kinds = [_ref("tensor_data"), *({"type": kind} for kind in ("number", "string", "boolean"))]
    named = {"name": _TEXT, "datatype": _TEXT, "shape": _SHAPE}
    tensor = {**named, "parameters": _PARAMETERS, "data": _ref("tensor_data")}
    tensors = {"inputs": _list("metadata_tensor"), "outputs": _list("metadata_tensor")}
    output = {"name": _TEXT, "parameters": _PARAMETERS}
    asked = {"inputs": _list("request_input"), "outputs": _list("request_output")}
    told = {"model_name": _TEXT, "model_version": _TEXT, "outputs": _list("response_output")}
    common = {"id": _TEXT, "parameters": _PARAMETERS}
    return {
        "metadata_server_response": _object(
            "name", "version", "extensions", name=_TEXT, version=_TEXT, extensions=_TEXTS
        ),
        "metadata_model_response": _object(
            "name", "platform", name=_TEXT, versions=_TEXTS, platform=_TEXT, **tensors
        ),
        "metadata_tensor": _object(*named, **named),
        "error_response": _object("error", error=_TEXT),
        "inference_request": _object("inputs", **common, **asked),
        "request_input": _object(*named, "data", **tensor),
        "request_output": _object("name", **output),
        "tensor_data": {"type": "array", "items": {"anyOf": kinds}},
        "inference_response": _object("model_name", "outputs", **common, **told),
        "response_output": _object(*named, "data", **tensor),
    }
