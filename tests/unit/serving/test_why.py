"""Why something was changed: told by whoever changes it, kept in the audit log, bounded."""

import json

import pytest
import tritonclient.grpc
from tritonclient.utils import InferenceServerException

from tests.unit.serving import models
from tests.unit.serving.harness import running
from workbench.core.errors import InputError
from workbench.core.reason import check_reason
from workbench.serving.client import Client
from workbench.serving.manager import Manager
from workbench.serving.repository import load_source
from workbench.serving.service import Settings
from workbench.serving.sources import StoreRegistry, find_source
from workbench.serving.tokens import Grant
from workbench.serving.traffic import Traffic

WHY = "金丝雀 after the review: 100 % of 3 May"


@pytest.fixture
def registry(store, folder):
    for name in ("digits", "bits"):
        for shift in (0.0, 10.0):
            path = models.save_digits(folder / f"why{shift}.onnx", shift=shift)
            models.register(store, name, path)
        store.models.promote(name, 1)
    return store


@pytest.fixture
def found(registry, tmp_path):
    with running(
        loaded=[load_source(find_source("model:digits@champion", registry))],
        settings=Settings(grpc_port=0),
        registry=StoreRegistry(registry),
        folder=tmp_path,
    ) as endpoint:
        yield endpoint


def reasons(store):
    """Action and reason of each entry that has one."""
    entries = store.audit.entries()
    return [(e.action, e.data["reason"]) for e in entries if e.data.get("reason")]


def test_the_reason_of_every_change_is_in_the_audit_beside_who_and_from_where(found, registry):
    manager = Manager(Client(found.url, found.token, "digits"))
    manager.set_traffic(Traffic(weights={"1": 9, "2": 1}), why=WHY)
    manager.set_traffic(None, why="too many errors")
    manager.add_token(Grant(name="ci"), why="for the nightly run")
    manager.revoke_token("ci", why="retired")
    manager.load("bits", why="asked for by sales")
    manager.unload("bits", why="nobody calls it")
    manager.add_token(Grant(name="quiet"))
    assert reasons(registry) == [
        ("serve_traffic", WHY),
        ("serve_traffic", "too many errors"),
        ("token_added", "for the nightly run"),
        ("token_revoked", "retired"),
        ("serve_loaded", "asked for by sales"),
        ("serve_unloaded", "nobody calls it"),
    ]
    last = registry.audit.entries()[-1]
    assert last.actor == "token:main from 127.0.0.1"
    assert "reason" not in last.data
    assert registry.audit.verify()


def test_over_grpc_it_is_metadata(found, registry):
    headers = {"authorization": f"Bearer {found.token}", "workbench-reason": "from%20a%20script"}
    client = tritonclient.grpc.InferenceServerClient(f"127.0.0.1:{found.service.grpc_port}")
    client.load_model("bits", headers=headers)
    assert reasons(registry) == [("serve_loaded", "from a script")]
    with pytest.raises(InferenceServerException, match="cannot be kept"):
        client.load_model("digits@2", headers={**headers, "workbench-reason": "a%0Ab"})
    client.close()


@pytest.mark.parametrize("sent", ["a%0Ab", "x" * 501, "%1b[31mred", "%E2%80%AEturned", "a\tb"])
def test_a_reason_that_would_spoil_the_log_is_refused_and_nothing_is_changed(found, sent):
    refused = found.http.put(
        "/manage/traffic/digits",
        content=json.dumps({"weights": {"2": 1}}),
        headers={"workbench-reason": sent},
    )
    assert refused.status_code == 422
    assert "reason cannot be kept" in refused.json()["message"]
    assert len(found.http.get("/manage/traffic/digits").json()["versions"]) == 1


def test_the_client_refuses_it_before_it_sends(found):
    with pytest.raises(InputError, match="600 characters; at most 500"):
        Manager(Client(found.url, found.token)).revoke_token("ci", why="x" * 600)


def test_what_languages_need_is_no_control_character():
    assert check_reason("  می‌خواهم 👩‍🔬\u3000好\u00a0! ") == "می‌خواهم 👩‍🔬\u3000好\u00a0!"


def test_moves_of_an_alias_have_a_reason_too(registry):
    registry.models.promote("digits", 2, reason=WHY)
    registry.models.rollback("digits", reason="slower")
    assert reasons(registry) == [("promote", WHY), ("rollback", "slower")]
    with pytest.raises(InputError, match="control characters: U\\+000A"):
        registry.models.promote("digits", 1, reason="a\nb")


def test_the_description_names_the_header(found):
    paths = found.http.get("/openapi.json").json()["paths"]
    names = [p["name"] for p in paths["/manage/tokens"]["post"]["parameters"]]
    assert names == ["workbench-reason"]
    assert paths["/manage/tokens"]["get"]["parameters"] == []
