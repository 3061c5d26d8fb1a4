"""Models loaded and unloaded while the endpoint runs, by Triton's own clients over both roads."""

from __future__ import annotations

import threading
from functools import partial

import numpy as np
import pytest
import tritonclient.grpc
import tritonclient.http
from tritonclient.utils import InferenceServerException

from tests.unit.serving import models
from tests.unit.serving.harness import running, wait_for
from workbench.core.errors import ForbiddenError, NotFoundError, StateError
from workbench.serving.client import Client
from workbench.serving.manager import Manager
from workbench.serving.repository import load_source
from workbench.serving.service import Settings
from workbench.serving.sources import StoreRegistry, find_source
from workbench.serving.tokens import Grant
from workbench.serving.traffic import Traffic

ZEROS = np.zeros((1, 1, 8, 8), np.float32)
SETTINGS = Settings(poll_s=0.02, grpc_port=0)


class Triton:
    """One of Triton's clients, with the token sent along."""

    def __init__(self, found, kind, token=None):
        self.kind, self.token = kind, token or found.token
        port = found.port if kind is tritonclient.http else found.service.grpc_port
        self.client = kind.InferenceServerClient(f"127.0.0.1:{port}")

    def __getattr__(self, name):
        headers = {"authorization": f"Bearer {self.token}"}  # the HTTP client writes into it
        return partial(getattr(self.client, name), headers=headers)

    def infer_zeros(self, model, version=""):
        given = self.kind.InferInput("input", ZEROS.shape, "FP32")
        given.set_data_from_numpy(ZEROS)
        return self.infer(model, [given], model_version=version).as_numpy("output")

    def index(self):
        found = self.get_model_repository_index()
        if self.kind is tritonclient.http:
            return [(r["name"], r["version"], r["state"], r.get("reason", "")) for r in found]
        return [(r.name, r.version, r.state, r.reason) for r in found.models]


@pytest.fixture
def registry(store, tmp_path):
    """Two versions of "digits" (champion: 1) and one of "bits"."""
    for shift in (0.0, 1000.0):
        file = models.save_digits(tmp_path / "m.onnx", shift=shift)
        models.register(store, "digits", file)
    models.register(store, "bits", models.save_digits(tmp_path / "m.onnx", shift=5.0))
    store.models.promote("digits", 1)
    return store


def serving(store, *refs, settings=SETTINGS, **options):
    loaded = [load_source(find_source(ref, store)) for ref in refs]
    return running(loaded=loaded, settings=settings, registry=StoreRegistry(store), **options)


@pytest.fixture
def found(registry):
    with serving(registry, "model:digits@champion") as endpoint:
        yield endpoint


@pytest.fixture(params=[tritonclient.http, tritonclient.grpc], ids=["http", "grpc"])
def triton(request, found):
    made = Triton(found, request.param)
    yield made
    made.client.close()


def manager(found, token=None):
    return Manager(Client(found.url, token or found.token))


def audit(store, action):
    return [entry for entry in store.audit.entries() if entry.action == action]


def test_a_model_comes_and_goes(triton, registry):
    with pytest.raises(InferenceServerException, match="No model 'bits'"):
        triton.infer_zeros("bits")
    triton.load_model("bits")
    assert triton.is_model_ready("bits")
    assert triton.infer_zeros("bits").shape == (1, 10)
    assert ("bits", "1", "READY", "") in triton.index()
    triton.load_model("bits")  # it is there already
    triton.unload_model("bits")
    assert not triton.is_model_ready("bits")
    (row,) = [row for row in triton.index() if row[0] == "bits"]
    assert row[:3] == ("bits", "1", "UNAVAILABLE")
    assert "unloaded at" in row[3]
    with pytest.raises(InferenceServerException, match="'bits' is not served now: unloaded at"):
        triton.infer_zeros("bits")
    actions = [e.action for e in registry.audit.entries() if e.subject == "model:bits@1"]
    assert actions[-2:] == ["serve_loaded", "serve_unloaded"]
    assert audit(registry, "serve_loaded")[0].actor == "token:main from 127.0.0.1"


def test_a_further_version_by_its_number(triton):
    first = triton.infer_zeros("digits", "1")
    triton.load_model("digits@2")
    second = triton.infer_zeros("digits", "2")
    assert second[0, 0] - first[0, 0] == pytest.approx(1000, rel=1e-3)
    np.testing.assert_array_equal(triton.infer_zeros("digits"), first)  # the bare name stays
    triton.unload_model("digits@2")
    with pytest.raises(InferenceServerException, match="not served in version '2'"):
        triton.infer_zeros("digits", "2")
    np.testing.assert_array_equal(triton.infer_zeros("digits"), first)


def test_what_the_endpoint_started_with_comes_back_and_follows_its_alias(triton, found, registry):
    triton.unload_model("digits")
    assert not triton.is_server_ready()
    triton.load_model("digits")
    assert triton.is_server_ready()
    registry.models.promote("digits", 2)
    wait_for(lambda: ("digits", "2", "READY", "") in triton.index())


def test_what_was_changed_on_disk_is_not_loaded_and_the_index_says_why(triton, registry):
    path = registry.blobs.path(registry.models.get("bits", 1).files["model.onnx"])
    path.chmod(0o644)
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(InferenceServerException, match="bits"):
        triton.load_model("bits@1")
    (row,) = [row for row in triton.index() if row[0] == "bits"]
    assert row[:3] == ("bits", "1", "UNAVAILABLE")
    assert row[3]
    assert not triton.is_model_ready("bits")


def test_only_the_registry_is_loaded_from(triton):
    with pytest.raises(InferenceServerException, match="did you mean 'bits'"):
        triton.load_model("bit")
    with pytest.raises(InferenceServerException, match="7"):
        triton.load_model("bits@7")
    for name in ("../m", "/etc/passwd", "bits@", "@1", "run:1", "m.onnx"):
        with pytest.raises(InferenceServerException):
            triton.load_model(name)
    with pytest.raises(InferenceServerException, match="'config'"):
        triton.load_model("bits", config="{}")
    with pytest.raises(InferenceServerException, match="No model 'bits'"):
        triton.unload_model("bits")
    assert [row[:3] for row in triton.index()] == [("digits", "1", "READY")]


def test_who_may_load(triton, found):
    reader = Triton(found, triton.kind, found.reader)
    with pytest.raises(InferenceServerException, match="not manage"):
        reader.load_model("bits")
    only = manager(found).add_token(Grant(name="m", scopes=("manage", "predict"), models=("bits",)))
    holder = Triton(found, triton.kind, only.text)
    with pytest.raises(InferenceServerException, match="not for the model 'digits'"):
        holder.unload_model("digits")
    holder.load_model("bits")
    assert [row[0] for row in holder.index()] == ["bits"]
    reader.client.close()
    holder.client.close()


def test_an_index_of_what_is_ready_only(found):
    boss = manager(found)
    boss.load("bits")
    boss.unload("bits")
    assert [row.name for row in boss.index()] == ["digits", "bits"]
    ready = found.http.post("/v2/repository/index", json={"ready": True}).json()
    assert [row["name"] for row in ready] == ["digits"]


def test_traffic_and_loading_respect_each_other(found):
    boss = manager(found)
    boss.set_traffic(Traffic(weights={"champion": 90, "2": 10}), "digits")
    with pytest.raises(StateError, match="gets a share of the requests"):
        boss.unload("digits@2")
    boss.load("digits@2")  # now it stays, whatever becomes of the traffic
    boss.set_traffic(None, "digits")
    assert [row.version for row in boss.index()] == ["1", "2"]
    boss.set_traffic(Traffic(weights={"champion": 90, "2": 10}), "digits")
    boss.unload("digits")
    with pytest.raises(NotFoundError, match="is not served now"):
        boss.traffic("digits")
    boss.load("digits")
    assert boss.traffic("digits").traffic.weights == {}


def test_calls_follow_the_traffic_and_a_caller_stays_put_by_metadata(found):
    boss = manager(found)
    split = Traffic(weights={"champion": 50, "2": 50}, sticky="x-user")
    boss.set_traffic(split, "digits")
    triton = Triton(found, tritonclient.grpc)
    given = tritonclient.grpc.InferInput("input", ZEROS.shape, "FP32")
    given.set_data_from_numpy(ZEROS)

    def version(user):
        headers = {"authorization": f"Bearer {found.token}", "x-user": user}
        answer = triton.client.infer("digits", [given], headers=headers)
        return answer.get_response().model_version

    users = [f"user{number}" for number in range(20)]
    first = [version(user) for user in users]
    assert set(first) == {"1", "2"}
    assert [version(user) for user in users] == first
    triton.client.close()


def test_requests_under_way_are_answered_when_their_model_goes(found):
    boss, failures, answers = manager(found), [], []
    boss.load("bits")
    stop = threading.Event()

    def ask():
        client = Client(found.url, found.token, "bits")
        while not stop.is_set():
            try:
                answers.append(client.predict(ZEROS)[0])
            except NotFoundError:
                return
            except Exception as error:  # noqa: BLE001 (any other failure is one)
                failures.append(error)
        client.close()

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    wait_for(lambda: len(answers) > 40)
    boss.unload("bits")
    for thread in threads:
        thread.join(20)
    stop.set()
    assert failures == []
    wait_for(lambda: not any(t.name.startswith("model-bits") for t in threading.enumerate()))


def test_what_was_loaded_is_there_again_after_a_restart(registry, tmp_path):
    folder = tmp_path / "endpoint"
    folder.mkdir()
    refs = ["model:digits@champion", "model:digits@2"]
    with serving(registry, *refs, folder=folder) as one:
        manager(one).load("bits")
        manager(one).unload("digits@2")
    with serving(registry, *refs, folder=folder) as other:
        rows = [(row.name, row.version) for row in manager(other).index()]
    assert sorted(rows) == [("bits", "1"), ("digits", "1"), ("digits", "2")]


def test_another_worker_follows(registry, tmp_path):
    """Two services over one folder, as workers are; the second only takes up."""
    folder = tmp_path / "endpoint"
    folder.mkdir()
    with (
        serving(registry, "model:digits@champion", folder=folder) as one,
        serving(registry, "model:digits@champion", folder=folder) as other,
    ):
        manager(one).load("bits")
        wait_for(lambda: len(manager(other).index()) == 2)
        manager(one).unload("digits")
        wait_for(lambda: [r.state for r in manager(other).index()] == ["READY", "UNAVAILABLE"])
        manager(one).load("digits")
        wait_for(lambda: [r.state for r in manager(other).index()] == ["READY", "READY"])
        assert manager(other).unload("digits")
        wait_for(lambda: len([r for r in manager(one).index() if r.state == "READY"]) == 1)


def test_files_come_and_go_without_a_registry(digits_file, square_file):
    with running(digits_file, square_file, settings=SETTINGS) as found:
        boss = manager(found)
        boss.unload("square")
        assert [row.state for row in boss.index()] == ["READY", "UNAVAILABLE"]
        boss.load("square")
        assert [row.state for row in boss.index()] == ["READY", "READY"]
        with pytest.raises(ForbiddenError):
            manager(found, found.reader).unload("square")
        with pytest.raises(ValueError, match="has no registry"):
            boss.load("bits")
