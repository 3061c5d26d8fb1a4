"""An endpoint as its owner holds it, in Python and on the command line."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from typer.testing import CliRunner

from tests.unit.serving import models
from workbench.core.errors import (
    ConflictError,
    ForbiddenError,
    InputError,
    NotFoundError,
    StateError,
)
from workbench.flow.cli.main import app
from workbench.flow.endpoint import expiry
from workbench.flow.workspace import Workspace
from workbench.serving.client import Client

REF = "model:digits@champion"
ZEROS = np.zeros((1, 1, 8, 8), np.float32)


@pytest.fixture
def space(store, tmp_path):
    for shift in (0.0, 1000.0):
        models.register(store, "digits", models.save_digits(tmp_path / "m.onnx", shift=shift))
    store.models.promote("digits", 1)
    store.models.promote("digits", 2, "canary")
    return Workspace(store.home.root)


@pytest.fixture
def endpoint(space):
    found = space.serve(REF, id="prod", traffic={"champion": 50, "canary": 50})
    yield found
    found.stop()


def test_a_version_is_not_deleted_while_it_is_served_by_its_number(space, endpoint, tmp_path):
    models.register(space.store, "digits", models.save_digits(tmp_path / "m.onnx", shift=1.0))
    endpoint.load("digits@3")
    with pytest.raises(StateError, match="Version 3 of 'digits' is served by endpoint:prod"):
        space.delete("model:digits@3")
    endpoint.unload("digits@3")
    space.delete("model:digits@3")
    models.register(space.store, "plain", models.save_digits(tmp_path / "m.onnx"))
    other = space.serve("model:plain", id="plain")  # the only version: there is no alias to follow
    try:
        with pytest.raises(StateError, match="served by endpoint:plain"):
            space.delete("model:plain@1")
        assert other.predict(ZEROS)
        space.delete("model:plain@1", force=True)
        assert space.store.audit.entries("model:plain@1")[-1].action == "delete"
        assert other.predict(ZEROS), "what is in memory answers on"
    finally:
        other.stop()


def command(*words):
    done = CliRunner().invoke(app, list(words), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_traffic_and_tokens_come_back_with_the_endpoints_id(space, endpoint):
    assert endpoint.ref == "endpoint:prod"
    assert [row.share for row in endpoint.traffic().versions] == [0.5, 0.5]
    report = endpoint.traffic({"champion": 9, "canary": 1}, budget={"errors": 0.1}, sticky="x-user")
    assert report.traffic.budget.errors == 0.1
    token = endpoint.add_token("ci", models=["digits"], expires="12h", rate=100)
    kept = space.store.home.endpoints / "prod" / "state.json"
    assert len(json.loads(kept.read_text())["seal"]) == 64
    with pytest.raises(ConflictError, match="running already"):
        space.serve(REF, id="prod")
    endpoint.stop()
    again = space.serve(REF, id="prod")
    try:
        assert again.traffic().traffic == report.traffic
        assert Client(again.url, token.text).predict(ZEROS)
        assert [grant.name for grant in again.tokens()] == ["main", "ci"]
        again.revoke_token("ci")
        with pytest.raises(ForbiddenError):
            Client(again.url, token.text).predict(ZEROS)
        assert again.traffic({}).traffic.weights == {}
        with pytest.raises(NotFoundError, match="digits"):
            again.traffic(model="digit")
    finally:
        again.stop()


def test_the_command_line_sets_traffic_and_makes_tokens(endpoint):
    shown = command("traffic", "digits", "champion=90", "canary=10", "--max-errors", "0.1")
    assert "0.9" in shown
    told = json.loads(command("traffic", "prod", "--json"))
    assert told["traffic"]["weights"] == {"canary": 10, "champion": 90}
    made = json.loads(command("tokens", "add", "prod", "ci", "--rate", "5", "--json"))
    assert made["token"] not in command("tokens", "list", "prod")
    assert Client(endpoint.url, made["token"]).predict(ZEROS)
    assert "Revoked ci" in command("tokens", "revoke", "prod", "ci")
    assert command("traffic", "prod", "--clear")


def test_models_are_loaded_and_unloaded_while_it_runs(space, endpoint):
    models.register(space.store, "bits", models.save_digits(space.store.home.root / "b.onnx"))
    (row,) = endpoint.load("model:bits@1")
    assert (row.name, row.version, row.state) == ("bits", "1", "READY")
    assert endpoint.models == ["digits", "bits"]
    shown = json.loads(command("serving", "bits", "--unload", "bits", "--json"))
    assert [(r["name"], r["state"]) for r in shown][-1] == ("bits", "UNAVAILABLE")
    with pytest.raises(NotFoundError, match="No endpoint 'bits'"):
        space.endpoint("bits")
    (back,) = endpoint.load(space.store.models.get("bits", 1))
    assert back.state == "READY"


def test_an_expiry_is_a_duration_or_a_time():
    soon = datetime.now(UTC) + timedelta(hours=12)
    for given in ("12h", timedelta(hours=12), soon, soon.timestamp()):
        assert expiry(given) == pytest.approx(soon.timestamp(), abs=5)
    assert expiry(None) is None
    with pytest.raises(InputError, match="30d"):
        expiry("next week")
