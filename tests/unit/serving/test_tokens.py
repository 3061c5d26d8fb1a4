"""Tokens with limits, for some models, kept as hashes, revoked while running."""

import json
import stat

import httpx
import numpy as np
import pytest

from tests.unit.serving import models
from tests.unit.serving.harness import running
from workbench.core.errors import (
    ForbiddenError,
    InputError,
    NotFoundError,
    UnauthorizedError,
    error_from_dict,
)
from workbench.serving.client import Client
from workbench.serving.errors import RateLimitedError
from workbench.serving.manager import Manager
from workbench.serving.rates import Bucket, SharedCells
from workbench.serving.repository import load_source
from workbench.serving.service import Settings
from workbench.serving.sources import StoreRegistry, find_source
from workbench.serving.tokens import Grant, KeyLimits, digest_of, hash_token


@pytest.fixture
def made(endpoint):
    """Makes tokens; those left are revoked at the end."""
    manager, names = Manager(Client(endpoint.url, endpoint.token, "square")), []

    def make(name="ci", **values):
        names.append(name)
        return manager.add_token(Grant(name=name, **values))

    yield make
    for name in {grant.name for grant in manager.grants()} & set(names):
        manager.revoke_token(name)


def post(endpoint, text, path="/predict/square", value=(1, 2, 3), **options):
    headers = {"authorization": f"Bearer {text}"}
    body = {"json": {"inputs": list(value)}, **options}
    return httpx.post(endpoint.url + path, headers=headers, trust_env=False, **body)


def refusal(answer):
    return error_from_dict(answer.json())


def test_its_text_is_told_once_and_never_shown(endpoint, made):
    token = made("ci", limits=KeyLimits(rate=100))
    assert token.text not in repr(token)
    assert post(endpoint, token.text).status_code == 200
    rows = endpoint.http.get("/manage/tokens").json()
    row = next(row for row in rows if row["name"] == "ci")
    assert row["limits"]["rate"] == 100
    assert token.text not in json.dumps(rows)
    assert digest_of(token.text) not in json.dumps(rows)


def test_its_name_is_in_the_metrics(endpoint, made):
    token = made("metered")
    for _ in range(3):
        post(endpoint, token.text)
    post(endpoint, token.text, value=())
    page = endpoint.http.get("/metrics").text
    assert 'workbench_key_requests_total{key="metered",status="200"} 3' in page
    assert 'workbench_key_requests_total{key="metered",status="422"} 1' in page


def test_a_rate_is_told_with_the_time_to_wait(endpoint, made):
    token = made(limits=KeyLimits(rate=0.1, burst=3))
    statuses = [post(endpoint, token.text).status_code for _ in range(5)]
    assert statuses == [200, 200, 200, 429, 429]
    answer = post(endpoint, token.text)
    assert 1 <= int(answer.headers["retry-after"]) <= 10
    assert isinstance(refusal(answer), RateLimitedError)
    assert endpoint.http.post("/predict/square", json={"inputs": [1, 2, 3]}).status_code == 200
    looks = httpx.get(
        f"{endpoint.url}/predict/square",
        headers={"authorization": f"Bearer {token.text}"},
        trust_env=False,
    )
    assert looks.status_code == 200  # only predictions count


def test_a_bucket_fills_with_time():
    class Clock:
        now = 0.0

    bucket = Bucket(KeyLimits(rate=2, burst=4), lambda: Clock.now)
    for _ in range(4):
        bucket.take("a")
    with pytest.raises(RateLimitedError) as error:
        bucket.take("a")
    assert error.value.context["retry_after_s"] == 1
    Clock.now = 0.5
    bucket.take("a")
    with pytest.raises(RateLimitedError):
        bucket.take("a")
    Clock.now = 100.0
    for _ in range(4):
        bucket.take("a")
    with pytest.raises(RateLimitedError):
        bucket.take("a")


def test_workers_count_one_tokens_requests_together(tmp_path):
    tokens = [hash_token("0123456789abcdef" + str(number), str(number)) for number in range(3)]
    limits = KeyLimits(rate=0.001, burst=5)
    buckets = [
        [Bucket(limits, cell=SharedCells(tmp_path / "rates").cell(token)) for token in tokens]
        for _ in range(2)
    ]
    for turn in range(5):
        for bucket in buckets[turn % 2]:
            bucket.take("a")
    for worker in buckets:
        for bucket in worker:
            with pytest.raises(RateLimitedError):
                bucket.take("a")


@pytest.mark.parametrize("is_chunked", [False, True])
def test_a_large_body_is_refused(endpoint, made, is_chunked):
    token = made(limits=KeyLimits(body_bytes=40))
    assert post(endpoint, token.text).status_code == 200
    body = json.dumps({"inputs": [1.00000001, 2.00000001, 3.00000001]}).encode()
    content = iter([body]) if is_chunked else body
    headers = {"authorization": f"Bearer {token.text}", "content-type": "application/json"}
    url = f"{endpoint.url}/predict/square"
    answer = httpx.post(url, content=content, headers=headers, trust_env=False)
    assert answer.status_code == 413
    assert answer.json()["context"]["limit_bytes"] == 40


def test_large_tensors_are_refused_in_every_dialect(endpoint, made):
    token = made(limits=KeyLimits(values=128))
    batch = np.zeros((3, 1, 8, 8), np.float32)
    tensor = {"name": "input", "shape": [3, 1, 8, 8], "datatype": "FP32", "data": batch.tolist()}
    for path, body in (
        ("/predict/digits", {"inputs": batch.tolist()}),
        ("/v2/models/digits/infer", {"inputs": [tensor]}),
        ("/v1/models/digits:predict", {"instances": batch.tolist()}),
        ("/predictions/digits", {"data": batch.tolist()}),
    ):
        answer = post(endpoint, token.text, path, json=body)
        assert answer.status_code == 413, path
        assert "192 numbers" in answer.text
    assert post(endpoint, token.text, "/predict/digits", value=batch[:2].tolist()).is_success


def test_a_token_for_one_model_sees_and_reaches_no_other(endpoint, made):
    token = made(models=("square",))
    headers = {"authorization": f"Bearer {token.text}"}
    with httpx.Client(base_url=endpoint.url, headers=headers, trust_env=False) as http:
        assert http.post("/predict/square", json={"inputs": [1, 2, 3]}).is_success
        assert http.post("/predict", json={"inputs": [1, 2, 3]}).json()["model"] == "square"
        for path in ("/predict/digits", "/v2/models/digits", "/v1/models/digits/metadata"):
            answer = http.get(path)
            assert answer.status_code == 403, path
            assert "not for the model 'digits'" in answer.text
        assert http.get("/metrics").status_code == 403
        assert http.get("/").json()["models"] == ["square"]
        assert [m["model"] for m in http.get("/v2/health/ready").json()["models"]] == ["square"]
        assert [m["name"] for m in http.post("/v2/repository/index").json()] == ["square"]
        assert [m["modelName"] for m in http.get("/models").json()["models"]] == ["square"]
        assert "digits" not in json.dumps(http.get("/openapi.json").json()["components"])


def test_a_managing_token_for_one_model_cannot_make_a_stronger_one(endpoint, made):
    token = made(scopes=("manage", "predict"), models=("square",))
    headers = {"authorization": f"Bearer {token.text}"}
    url = f"{endpoint.url}/manage"
    answer = httpx.post(f"{url}/tokens", json={"name": "x"}, headers=headers, trust_env=False)
    assert answer.status_code == 403
    allowed = httpx.get(f"{url}/traffic/square", headers=headers, trust_env=False)
    assert allowed.status_code == 200
    assert httpx.get(f"{url}/traffic/digits", headers=headers, trust_env=False).status_code == 403


def test_a_token_for_metrics_reads_figures_and_predicts_nothing(endpoint, made):
    watcher, caller = made("watcher", scopes=("metrics",)), made("caller")

    def status(token, method, path, **options):
        headers = {"authorization": f"Bearer {token.text}"}
        url = endpoint.url + path
        return httpx.request(method, url, headers=headers, trust_env=False, **options).status_code

    assert status(watcher, "GET", "/metrics") == 200
    assert status(caller, "GET", "/metrics") == 200  # as before there was a scope for it alone
    assert status(watcher, "GET", "/v2/health/ready") == 200
    refused = post(endpoint, watcher.text)
    assert refused.status_code == 403
    assert "allows metrics, not predict" in refused.json()["message"]
    assert status(watcher, "GET", "/manage/tokens") == 403
    assert status(watcher, "GET", "/v2/models/square") == 403
    assert status(watcher, "POST", "/v2/repository/index", json={}) == 403


# kept --------------------------------------------------------------------------------------


@pytest.fixture
def serve(store, folder, tmp_path):
    models.register(store, "digits", models.save_digits(folder / "tokens.onnx"))
    store.models.promote("digits", 1)

    def run():
        return running(
            loaded=[load_source(find_source("model:digits@champion", store))],
            settings=Settings(poll_s=0.01),
            registry=StoreRegistry(store),
            folder=tmp_path,
        )

    return run


def test_tokens_are_kept_as_hashes_over_a_restart_and_audited(serve, store, tmp_path):
    with serve() as found:
        manager = Manager(Client(found.url, found.token))
        kept = manager.add_token(Grant(name="kept"))
        gone = manager.add_token(Grant(name="gone"))
        manager.revoke_token("gone")
        first = found.token
    path = tmp_path / "state.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    for text in (kept.text, gone.text, first):
        assert text not in path.read_text()
    with serve() as found:
        zeros = np.zeros((1, 1, 8, 8), np.float32)
        assert Client(found.url, kept.text).predict(zeros)
        for text in (gone.text, first):
            with pytest.raises(ForbiddenError):
                Client(found.url, text).predict(zeros)
        with pytest.raises(UnauthorizedError):
            Client(found.url, "").predict(zeros)
    entries = [e for e in store.audit.entries() if e.action.startswith("token_")]
    assert [(e.action, e.data["name"], e.actor) for e in entries] == [
        ("token_added", "kept", "token:main from 127.0.0.1"),
        ("token_added", "gone", "token:main from 127.0.0.1"),
        ("token_revoked", "gone", "token:main from 127.0.0.1"),
    ]
    assert entries[0].subject == f"endpoint:{tmp_path.name}"
    assert digest_of(kept.text) not in json.dumps([dict(e.data) for e in entries])


def test_what_one_worker_revokes_is_revoked_in_the_others(serve, store):
    from tests.unit.serving.harness import wait_for

    with serve() as one, serve() as other:
        token = Manager(Client(one.url, one.token)).add_token(Grant(name="shared"))
        zeros = np.zeros((1, 1, 8, 8), np.float32)
        elsewhere = Client(other.url, token.text)
        assert wait_for(lambda: _works(elsewhere, zeros))
        Manager(Client(other.url, other.token)).revoke_token("shared")
        assert not _works(elsewhere, zeros)
        wait_for(lambda: not _works(Client(one.url, token.text), zeros))


def _works(client, value):
    try:
        return bool(client.predict(value))
    except ForbiddenError:
        return False


def test_the_first_token_can_be_revoked_too(serve):
    with serve() as found:
        manager = Manager(Client(found.url, found.token))
        with pytest.raises(InputError, match="taken"):
            manager.add_token(Grant(name="main"))
        with pytest.raises(NotFoundError, match="did you mean 'main'"):
            manager.revoke_token("mian")
        manager.revoke_token("main")
        with pytest.raises(ForbiddenError):
            manager.grants()
