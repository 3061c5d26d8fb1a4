"""Every dialect plug-in, by its key: real requests over a real socket, and refusals in words."""

from __future__ import annotations

import re

import httpx
import pytest

from tests.unit.serving import models
from tests.unit.serving.harness import running
from workbench.core.errors import error_from_dict
from workbench.serving.engine import example_inputs
from workbench.serving.protocol import Endpoint
from workbench.serving.protocols import PROTOCOLS
from workbench.serving.router import Router
from workbench.serving.security import Gate


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    with running(models.save_digits(folder / "digits.onnx")) as found:
        yield found


@pytest.fixture(params=list(PROTOCOLS))
def dialect(request):
    return PROTOCOLS.get(request.param)


@pytest.fixture
def routes(dialect):
    return dialect.routes(Endpoint(Router(), Gate([])))


@pytest.fixture
def example(dialect, endpoint):
    (served,) = endpoint.service.router
    return dialect.example(served, example_inputs(served.signature, 2))


def ask(endpoint, example, *, token, path=None, body=None):
    headers = {**example.headers, **({"authorization": f"Bearer {token}"} if token else {})}
    return httpx.request(
        example.method,
        endpoint.url + (path or example.path),
        content=example.body if body is None else body,
        headers=headers,
        trust_env=False,
    )


def test_it_says_what_it_is_and_which_paths_it_answers(dialect, routes):
    assert dialect.summary
    assert routes
    assert {route.dialect for route in routes} == {dialect.key}


def test_only_its_health_is_open(routes):
    is_health = re.compile("/v2/health/|/ping$")
    assert [r.path for r in routes if r.scope is None and not is_health.match(r.path)] == []


def test_its_example_is_answered(endpoint, example):
    answer = ask(endpoint, example, token=endpoint.token)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("application/")


def test_its_example_needs_a_right_token(endpoint, example):
    assert ask(endpoint, example, token=None).status_code == 401
    assert ask(endpoint, example, token="wrong-wrong-wrong").status_code == 403


def test_an_unknown_model_is_404(endpoint, example):
    path = example.path.replace("digits", "digit")
    answer = ask(endpoint, example, token=endpoint.token, path=path)
    assert answer.status_code == 404
    assert "digits" in answer.text


@pytest.mark.parametrize("body", [b"", b"{", b"null", b"[]", b"{}", b'{"inputs": "\xff"}', b"\x00"])
def test_a_bad_body_is_refused_as_a_workbench_error(endpoint, example, body):
    answer = ask(endpoint, example, token=endpoint.token, body=body)
    assert 400 <= answer.status_code < 500, answer.text
    error = error_from_dict(answer.json())
    assert error.message
    assert error.http_status == answer.status_code


def test_every_path_survives_any_name(endpoint, routes):
    for route in routes:
        path = re.sub(r"\{\w+\}", "%00%FF%E6%95%B0..%2F", route.path)
        headers = {"authorization": f"Bearer {endpoint.token}"}
        answer = httpx.request(route.method, endpoint.url + path, headers=headers, trust_env=False)
        assert answer.status_code < 500, answer.text
