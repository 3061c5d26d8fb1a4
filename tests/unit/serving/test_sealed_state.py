"""What an endpoint keeps is believed only as the workspace wrote it; who runs goes on without."""

import json

import pytest

from tests.unit.serving.harness import running, wait_for
from workbench.core.errors import IntegrityError
from workbench.serving.launch import Place
from workbench.serving.service import Settings
from workbench.serving.sources import StoreRegistry
from workbench.serving.state import StateFile
from workbench.serving.tokens import hash_token, new_token
from workbench.store import open_store
from workbench.store.findings import tampered


@pytest.fixture
def place(store):
    made = store.home.endpoints / "e"
    made.mkdir(parents=True)
    return made


@pytest.fixture
def options(store, place):
    return {
        "settings": Settings(poll_s=0.01),
        "registry": StoreRegistry(store),
        "folder": place,
        "seals": store.seals,
    }


def forge(place):
    """Adds a token of one's own; returns its text."""
    path, clear = place / "state.json", new_token()
    values = json.loads(path.read_text())
    values["tokens"] = [*values.get("tokens", []), hash_token(clear, "mine").to_json()]
    path.write_text(json.dumps({**values, "revision": 9}))
    return clear


def status(found, token):
    return found.http.get("/v2", headers={"authorization": f"Bearer {token}"}).status_code


def test_a_running_endpoint_lets_no_forged_token_in_says_so_and_can_put_it_right(
    options, place, store, square_file, caplog
):
    with running(square_file, **options) as found:
        made = found.http.post("/manage/tokens", json={"name": "ci"}).json()["token"]
        clear = forge(place)
        wait_for(lambda: "behind the workspace's back" in caplog.text)
        assert status(found, clear) == 403
        assert status(found, made) == 200
        health = found.http.get("/v2/health/ready").json()
        assert "endpoint:e was changed" in health["state"]
        assert any("endpoint:e was changed" in item.words for item in tampered(store))
        assert caplog.text.count("behind the workspace's back") == 1
        assert found.http.delete("/manage/tokens/ci").status_code == 200
        assert status(found, made) == 403
        assert status(found, clear) == 403
        assert "state" not in found.http.get("/v2/health/ready").json()
    assert list(tampered(store)) == []


@pytest.mark.parametrize("how", ["removed", "put back"])
def test_a_running_endpoint_does_not_forget_what_was_revoked(options, place, square_file, how):
    with running(square_file, **options) as found:
        made = found.http.post("/manage/tokens", json={"name": "ci"}).json()["token"]
        path = place / "state.json"
        before = path.read_text()
        assert found.http.delete("/manage/tokens/ci").status_code == 200
        path.unlink()
        if how == "put back":
            path.write_text(before)
        wait_for(lambda: how in found.http.get("/v2/health/ready").json().get("state", ""))
        assert status(found, made) == 403


def test_no_endpoint_starts_from_a_forged_state(options, place, store, square_file):
    state = StateFile(place, store.seals)
    state.update(lambda found: found.model_copy(update={"revoked": ("0" * 64,)}))
    forge(place)
    forged = pytest.raises(IntegrityError, match="endpoint:e was changed")
    with forged as refused, running(square_file, **options):
        pass
    assert str(place / "state.json") in refused.value.hint


def test_a_state_that_tells_nothing_needs_no_seal(place, store):
    state = StateFile(place, store.seals)
    state.prepare()
    assert state.read().revision == 0
    assert list(tampered(store)) == []


def test_states_of_the_version_before_are_sealed_once(place, store):
    path = place / "state.json"
    path.write_text(json.dumps({"revision": 3, "revoked": ["0" * 64]}))
    assert [item.kind for item in tampered(store)] == ["state"]
    (store.home.keys / "sealed-endpoints").unlink()
    store = open_store(store.home.root)
    assert StateFile(place, store.seals).read().revoked == ("0" * 64,)
    assert store.audit.entries("workspace")[-1].data["endpoints"] == 1
    path.write_text(json.dumps({"revision": 4, "revoked": ["1" * 64]}))
    with pytest.raises(IntegrityError, match="bears no seal"):
        StateFile(place, open_store(store.home.root).seals).read()


def test_a_folder_that_goes_with_its_process_needs_no_key_of_the_workspace(place, store, tmp_path):
    assert Place(store, "e", place).seals is store.seals
    assert Place(store, "e", tmp_path).seals is None
    assert Place(None, "e", place).seals is None
