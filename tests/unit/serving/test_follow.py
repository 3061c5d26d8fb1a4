import sqlite3
import threading
from contextlib import closing

import numpy as np
import pytest

from tests.unit.serving import models
from tests.unit.serving.harness import running, wait_for
from workbench.serving.client import Client
from workbench.serving.repository import load_source
from workbench.serving.service import Settings
from workbench.serving.sources import StoreRegistry, find_source

NAME = "数字"
FAST = Settings(poll_s=0.01)


@pytest.fixture
def versions(store, folder):
    """Version 1 answers as trained; version 2 always says the first label."""
    for shift in (0.0, 1000.0):
        path = models.save_digits(folder / f"v{int(shift)}.onnx", shift=shift)
        models.register(store, NAME, path)
    store.models.promote(NAME, 1)
    return store


def following(store, ref=f"model:{NAME}@champion", **options):
    loaded = [load_source(find_source(ref, store))]
    return running(loaded=loaded, settings=FAST, registry=StoreRegistry(store), **options)


def state(found):
    return found.http.get("/v2/health/ready").json()["following"][0]


def spoil(store, number):
    blob = store.models.get(NAME, number).files["model.onnx"]
    path = store.blobs.path(blob)
    path.chmod(0o644)
    path.write_bytes(path.read_bytes() + b"\0")


def test_no_request_fails_while_the_alias_moves(versions):
    _, test, _, _ = models.digits()
    with following(versions) as found:
        stop, answers, failures = threading.Event(), [], []

        def ask():
            client = Client(found.url, found.token, NAME)
            while not stop.is_set():
                try:
                    answers.append(client.predict(test[:4])[0].scores["零"])
                except Exception as error:  # noqa: BLE001 (any failure is one)
                    failures.append(error)
            client.close()

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        for number in (2, 1) * 4:
            versions.models.promote(NAME, number)
            wait_for(lambda number=number: state(found)["version"] == str(number))
        stop.set()
        for thread in threads:
            thread.join()
        assert failures == []
        assert {round(value) for value in answers} >= {1}
        metrics = found.http.get("/metrics").text
    assert f'workbench_swaps_total{{model="{NAME}",outcome="switched"}} 8' in metrics
    assert 'version="1",dialect="predict",status="200"' in metrics
    assert 'version="2",dialect="predict",status="200"' in metrics


def test_the_answer_changes_with_the_alias_and_a_rollback_takes_it_back(versions):
    _, test, _, targets = models.digits()
    digit = test[int(np.argmax(targets != 0))]
    with following(versions) as found:
        client = Client(found.url, found.token)
        before = client.predict(digit)[0].label
        assert before != "零"
        versions.models.promote(NAME, 2)
        wait_for(lambda: client.predict(digit)[0].label == "零")
        versions.models.rollback(NAME)
        wait_for(lambda: client.predict(digit)[0].label == before)
        wait_for(lambda: versions.audit.entries()[-1].action == "serve_switched")
        client.close()
    actions = [entry.action for entry in versions.audit.entries(f"model:{NAME}@champion")]
    assert actions.count("serve_switched") == 2


def test_a_version_whose_bytes_were_changed_is_refused_and_the_old_one_stays(versions):
    spoil(versions, 2)
    with following(versions) as found:
        versions.models.promote(NAME, 2)
        refused = wait_for(lambda: state(found)["refused"])
        assert (refused["version"], refused["code"]) == ("2", "integrity")
        assert found.http.get("/v2/health/ready").json()["ready"]
        answer = found.http.post("/predict", json={"inputs": np.zeros((8, 8)).tolist()})
        assert answer.json()["version"] == "1"
        assert 'outcome="refused"} 1' in found.http.get("/metrics").text
        versions.models.rollback(NAME)
        wait_for(lambda: state(found)["refused"] is None)
    actions = [entry.action for entry in versions.audit.entries()]
    assert "serve_refused" in actions


def test_a_version_that_cannot_answer_is_refused(versions, folder):
    path = models.save_square(folder / "other.onnx")
    models.register(versions, NAME, path)  # its description does not fit its file
    with following(versions) as found:
        versions.models.promote(NAME, 3)
        refused = wait_for(lambda: state(found)["refused"])
        assert refused["code"] == "unsupported"
        assert state(found)["version"] == "1"


def test_a_fixed_version_does_not_move(versions):
    with following(versions, f"model:{NAME}@1") as found:
        versions.models.promote(NAME, 2)
        assert found.http.get("/v2/health/ready").json()["following"] == []
        assert found.http.get(f"/v2/models/{NAME}").json()["versions"] == ["1"]


def test_versions_are_served_side_by_side_by_number_and_alias(versions):
    versions.models.promote(NAME, 2, "challenger")
    refs = [f"model:{NAME}@champion", f"model:{NAME}@challenger"]
    loaded = [load_source(find_source(ref, versions)) for ref in refs]
    zeros = {"inputs": np.zeros((8, 8)).tolist()}
    with running(loaded=loaded, settings=FAST, registry=StoreRegistry(versions)) as found:
        for path, number in (("", "1"), ("/2", "2"), ("/1", "1"), ("/challenger", "2")):
            answer = found.http.post(f"/predict/{NAME}{path}", json=zeros)
            assert answer.json()["version"] == number
        assert found.http.get(f"/v2/models/{NAME}").json()["versions"] == ["1", "2"]


def test_changed_bytes_are_refused_at_the_start(versions):
    from workbench.core.errors import IntegrityError

    spoil(versions, 1)
    with pytest.raises(IntegrityError, match="was changed"):
        find_source(f"model:{NAME}@champion", versions)


def test_an_alias_moved_behind_the_registrys_back_is_not_followed_and_said_once(versions, caplog):
    with following(versions) as found:
        with closing(sqlite3.connect(versions.home.database)) as outside, outside:
            outside.execute("UPDATE aliases SET number = 2")
        wait_for(lambda: state(found)["refused"] is not None)
        assert "was moved behind the registry's back" in state(found)["refused"]["message"]
        assert state(found)["version"] == "1"
        versions.models.promote(NAME, 2)
        wait_for(lambda: state(found)["version"] == "2")
        assert state(found)["refused"] is None
    assert sum("is not followed" in record.message for record in caplog.records) == 1
