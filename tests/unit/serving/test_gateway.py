"""Behind a gateway: a prefix, and who calls from where, believed only of trusted proxies."""

import json

import httpx
import numpy as np
import pytest

from tests.unit.serving import models
from tests.unit.serving.harness import running, wait_for
from workbench.core.errors import InputError
from workbench.serving.gateway import read_gateway
from workbench.serving.messages import Request
from workbench.serving.repository import load_source
from workbench.serving.service import Settings
from workbench.serving.sources import StoreRegistry, find_source

BODY = {"inputs": np.zeros((8, 8)).tolist()}


@pytest.fixture
def found(store, folder, tmp_path):
    models.register(store, "digits", models.save_digits(folder / "gateway.onnx"))
    store.models.promote("digits", 1)
    gateway = read_gateway("/models/jo/", ["127.0.0.0/8"], "X-Forwarded-User")
    with running(
        loaded=[load_source(find_source("model:digits@champion", store))],
        settings=Settings(gateway=gateway),
        registry=StoreRegistry(store),
        log_folder=tmp_path / "log",
        folder=tmp_path,
    ) as endpoint:
        yield endpoint


def test_every_path_works_with_and_without_the_prefix(found):
    for prefix in ("", "/models/jo"):
        assert found.http.post(f"{prefix}/predict/digits", json=BODY).status_code == 200
        assert found.http.get(f"{prefix}/v2/health/ready").status_code == 200
        assert found.http.get(f"{prefix}/metrics").status_code == 200
        assert "paths" in found.http.get(f"{prefix}/openapi.json").json()
    assert found.http.get("/models/jo").status_code == 200
    assert found.http.get("/models/joe/v2/health/ready").status_code == 404


def test_who_and_from_where_are_in_the_audit_and_the_log(found, store, tmp_path):
    headers = {"x-forwarded-user": "jo", "x-forwarded-for": "198.51.100.7, 127.0.0.2"}
    made = found.http.post("/manage/tokens", json={"name": "ci"}, headers=headers)
    assert made.status_code == 201
    (entry,) = [e for e in store.audit.entries() if e.action == "token_added"]
    assert entry.actor == "token:main (jo) from 198.51.100.7"
    assert found.http.post("/predict/digits", json=BODY, headers=headers).status_code == 200

    def logged():
        text = "".join(path.read_text() for path in (tmp_path / "log").glob("*.jsonl"))
        return [json.loads(line) for line in text.splitlines() if "/predict/digits" in line]

    line = wait_for(logged)[0]
    assert (line["user"], line["from"]) == ("jo", "198.51.100.7")


def test_a_header_is_no_token(found):
    headers = {"x-forwarded-user": "jo"}
    url = f"{found.url}/predict/digits"
    assert httpx.post(url, json=BODY, headers=headers, trust_env=False).status_code == 401


def received(gateway, address, **headers):
    named = {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
    request = Request("GET", b"/v2", named)
    request.address = address
    gateway.receive(request)
    return request.user, request.address


def test_only_trusted_proxies_are_believed():
    gateway = read_gateway("", ["10.0.0.0/8", "::1"], "remote-user")
    told = {"remote_user": "jo", "x_forwarded_for": "6.6.6.6, 203.0.113.9, 10.1.2.3"}
    assert received(gateway, "10.9.9.9", **told) == ("jo", "203.0.113.9")
    assert received(gateway, "::1", **told) == ("jo", "203.0.113.9")
    assert received(gateway, "192.0.2.1", **told) == (None, "192.0.2.1")
    assert received(gateway, "10.9.9.9") == (None, "10.9.9.9")
    assert received(gateway, "10.9.9.9", x_forwarded_for="10.0.0.1")[1] == "10.0.0.1"
    assert received(gateway, "", **told) == (None, "")


def test_options_that_cannot_be_are_told_at_once():
    with pytest.raises(InputError) as error:
        read_gateway("no slash", ["10.0.0.0/99"], "a b")
    assert len(error.value.problems) == 4
    with pytest.raises(InputError, match="gateway") as error:
        read_gateway("", [], "remote-user")
    assert "--trusted-proxy" in error.value.problems[0]
