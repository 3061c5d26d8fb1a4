"""The description is true: its schemas, checked by jsonschema, fit what the endpoint takes."""

from __future__ import annotations

import httpx
import jsonschema
import orjson
import pytest

from workbench.serving.engine import example_inputs
from workbench.serving.protocols import PROTOCOLS

METHODS = ("get", "post", "put", "delete")


@pytest.fixture(scope="module")
def document(endpoint):
    return endpoint.http.get("/openapi.json").json()


def operations(document):
    return [
        (method, path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


def refs(value):
    if isinstance(value, dict):
        found = [value["$ref"]] if "$ref" in value else []
        return found + [ref for item in value.values() for ref in refs(item)]
    return [ref for item in value for ref in refs(item)] if isinstance(value, list) else []


def check(document, value, schema):
    whole = {**schema, "components": document["components"]}
    jsonschema.Draft202012Validator(whole).validate(value)


def test_every_path_of_every_dialect_is_described_once(endpoint, document):
    server = endpoint.service.server
    known = {(r.method.lower(), r.path) for _, r in server._table._routes}
    found = {(method, path) for method, path, _ in operations(document)}
    assert known <= found
    assert ("get", "/metrics") in found
    ids = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(ids) == len(set(ids))
    assert all(method in METHODS and op["summary"] for method, _, op in operations(document))


def test_what_needs_a_token_says_so(document):
    open_ = {path for _, path, operation in operations(document) if "security" not in operation}
    assert open_ == {
        "/",
        "/console.css",
        "/console.js",
        "/openapi.json",
        "/ping",
        "/v2/health/live",
        "/v2/health/ready",
    }
    assert document["paths"]["/manage/tokens"]["get"]["security"] == [{"token": ["manage"]}]
    assert document["components"]["securitySchemes"]["token"]["scheme"] == "bearer"


def test_every_reference_leads_somewhere(document):
    for ref in refs(document):
        place = document
        for part in ref.removeprefix("#/").split("/"):
            place = place[part]
        jsonschema.Draft202012Validator.check_schema(place)


def test_without_a_token_no_model_is_named(endpoint):
    text = httpx.get(f"{endpoint.url}/openapi.json", trust_env=False).text
    assert "/predict/{model}" in text
    assert "digits" not in text
    assert "数字" not in text


@pytest.mark.parametrize("key", list(PROTOCOLS))
@pytest.mark.parametrize("name", ["digits", "数字", "square", "pair"])
def test_requests_and_answers_are_as_described(endpoint, document, key, name):
    dialect = PROTOCOLS.get(key)
    served = endpoint.service.router.find(name)
    example = dialect.example(served, example_inputs(served.signature, 2))
    (operation,) = [
        operation
        for method, path, operation in operations(document)
        if operation["tags"] == [key] and "requestBody" in operation
        if method == "post" and path.count("{") == 1 and "{model}" in path
        if not path.endswith("_stream")
    ]
    content = operation["requestBody"]["content"]
    check(document, orjson.loads(example.body), content["application/json"]["schema"])
    answer = endpoint.http.post(example.path, content=example.body, headers=example.headers)
    assert answer.status_code == 200, answer.text
    schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
    check(document, answer.json(), schema)
    with pytest.raises(jsonschema.ValidationError):
        check(document, {"inptus": [1]}, content["application/json"]["schema"])
