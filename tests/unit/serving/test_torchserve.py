"""TorchServe's forms, sent as its clients do: curl's -T and -F, requests' files, JSON."""

from __future__ import annotations

import shutil
import subprocess

import httpx
import numpy as np
import pytest

from tests.unit.serving import models
from tests.unit.serving.harness import running
from workbench.core.signature import Signature, TensorSpec
from workbench.serving.protocols.torchserve import _short
from workbench.serving.served import Source

PATH = "/predictions/数字"


@pytest.fixture(scope="module")
def digit():
    return models.digits()[1][0]


@pytest.fixture(scope="module")
def right():
    return models.LABELS[models.digits()[3][0]]


def test_a_picture_is_answered_with_its_five_best_labels(endpoint, digit, right):
    picture = models.png(digit)
    send = endpoint.http
    octets = {"content-type": "application/octet-stream"}
    answers = [
        send.put(PATH, content=picture),
        send.post(f"{PATH}/3", content=picture, headers=octets),
        send.post(PATH, content=picture, headers={"content-type": "image/png"}),
        send.post(PATH, files={"data": picture}),
        send.post(PATH, json={"data": digit.tolist()}),
        send.post(PATH, json=digit.tolist()),
        send.post(PATH, files={"body": (None, str(digit.tolist()))}),
    ]
    for answer in answers:
        assert answer.status_code == 200, answer.text
        scores = answer.json()
        assert next(iter(scores)) == right
        assert len(scores) == 5
        assert list(scores.values()) == sorted(scores.values(), reverse=True)


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
@pytest.mark.parametrize("how", [["-T", "FILE"], ["-F", "data=@FILE"], ["--data-binary", "@FILE"]])
def test_the_documented_curl_lines_work(endpoint, digit, right, tmp_path, how):
    (tmp_path / "digit.png").write_bytes(models.png(digit))
    command = [word.replace("FILE", "digit.png") for word in how]
    token = f"Authorization: Bearer {endpoint.token}"
    url = httpx.URL(endpoint.url).copy_with(path=PATH)
    done = subprocess.run(
        ["curl", "-s", "--noproxy", "*", "-H", token, str(url), *command],
        cwd=tmp_path,
        capture_output=True,
        check=True,
        timeout=30,
    )
    assert done.stdout.decode().startswith(f'{{"{right}":')


def test_several_pictures_are_answered_with_a_list(endpoint):
    _, test, _, targets = models.digits()
    pictures = [("data", models.png(picture)) for picture in test[:3]]
    answers = endpoint.http.post(PATH, files=pictures).json()
    assert [next(iter(scores)) for scores in answers] == [models.LABELS[t] for t in targets[:3]]


def test_a_bare_file_answers_its_numbers_and_a_regression_its_value(endpoint, tmp_path):
    answer = endpoint.http.post("/predictions/square", json=[1, 2, 3])
    assert answer.json() == [1.0, 4.0, 9.0]
    path = models.save_linear(tmp_path / "price.onnx", np.ones((2, 1), np.float32))
    signature = Signature(
        (TensorSpec("input", "float32", ("batch", 2)),),
        (TensorSpec("output", "float32", ("batch", 1)),),
    )
    said = models.description(
        task="regression",
        output="value",
        labels=(),
        signature=signature,
        modality=None,
        preprocessing=None,
    )
    with running(Source("price", "1", path, said, "model:price@1")) as found:
        assert found.http.post("/predictions/price", json={"data": [2, 3]}).json() == 5.0
        assert found.http.post("/predictions/price", json=[[2, 3], [1, 1]]).json() == [5.0, 2.0]


def test_ping_needs_no_token(endpoint):
    answer = httpx.get(f"{endpoint.url}/ping", trust_env=False)
    assert (answer.status_code, answer.json()) == (200, {"status": "Healthy"})


def test_ping_tells_when_the_endpoint_is_about_to_end(endpoint):
    endpoint.service.server.is_draining = True
    try:
        answer = httpx.get(f"{endpoint.url}/ping", trust_env=False)
    finally:
        endpoint.service.server.is_draining = False
    assert (answer.status_code, answer.json()) == (503, {"status": "Unhealthy"})


def test_models_are_listed_and_described(endpoint, digits_file):
    listed = endpoint.http.get("/models").json()["models"]
    assert listed[0] == {"modelName": "数字", "modelUrl": "digits.onnx"}
    assert len(listed) == 4
    (about,) = endpoint.http.get("/models/数字").json()
    assert (about["modelVersion"], about["workers"][0]["status"]) == ("3", "READY")
    assert about["jobQueueStatus"] == {"remainingCapacity": 512, "pendingRequests": 0}
    assert endpoint.http.get("/models/数字/3").json() == [about]
    sources = [
        Source("digits", number, digits_file, None, f"model:digits@{number}") for number in "12"
    ]
    with running(*sources) as found:
        every = found.http.get("/models/digits/all").json()
        assert [item["modelVersion"] for item in every] == ["1", "2"]


def test_what_does_not_fit_is_told_with_what_would(endpoint):
    unknown = endpoint.http.post("/predictions/digit", json=[1])
    assert (unknown.status_code, unknown.json()["type"]) == (404, "ModelNotFoundException")
    assert "did you mean 'digits'" in unknown.json()["message"]
    assert endpoint.http.get("/models/digit").status_code == 404
    assert endpoint.http.get("/models/digits/7").status_code == 404
    wrong = endpoint.http.put(PATH, content=b"\x89not a picture")
    assert (wrong.status_code, wrong.json()["type"]) == (422, "BadRequestException")
    field = endpoint.http.post(PATH, files={"picture": (None, "[]")})
    assert "without the field 'data'" in field.json()["message"]
    assert endpoint.http.post("/models", json={}).status_code == 405


def test_labels_that_hold_together_keep_their_names():
    answer = {"labels": ["red"], "scores": {"red": 0.9, "round": 0.2}}
    assert _short(answer) == {"red": 0.9, "round": 0.2}
