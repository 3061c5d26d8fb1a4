"""A caller's own deadline, in the headers and parameters that clients and gateways send."""

import socket
import struct
import threading

import numpy as np
import pytest
from tritonclient.http import InferenceServerClient, InferInput
from tritonclient.utils import InferenceServerException

from tests.unit.serving.harness import raw_request, running, wait_for

PATH = "/predict/digits"
BODY = {"inputs": np.zeros((1, 1, 8, 8)).tolist()}


class Held:
    """Holds a model's runs back until told; remembers how many rows it ran."""

    def __init__(self, served):
        self.gate, self.entered, self.rows = threading.Event(), threading.Event(), 0
        self._predict = served.batcher._model.predict
        served.batcher._model.predict = self

    def __call__(self, inputs):
        self.entered.set()
        self.gate.wait(30)
        self.rows += len(inputs["input"])
        return self._predict(inputs)


@pytest.fixture
def found(digits_file):
    with running(digits_file) as endpoint:
        endpoint.held = Held(endpoint.service.router.find("digits"))
        yield endpoint
        endpoint.held.gate.set()


def occupy(found):
    """Sends a request that keeps the model busy; returns its thread and its answer to come."""
    answers = []
    thread = threading.Thread(target=lambda: answers.append(found.http.post(PATH, json=BODY)))
    thread.start()
    assert found.held.entered.wait(20)
    return thread, answers


@pytest.mark.parametrize(
    "headers",
    [
        {"x-request-timeout-ms": "40"},
        {"grpc-timeout": "40m"},
        {"grpc-timeout": "40000u"},
        {"x-envoy-expected-rq-timeout-ms": "40"},
        {"x-envoy-expected-rq-timeout-ms": "40", "x-request-timeout-ms": "60000"},
    ],
)
def test_a_deadline_in_a_header_gives_504_and_the_work_is_not_done(found, headers):
    thread, answers = occupy(found)
    late = found.http.post(PATH, json=BODY, headers=headers)
    assert late.status_code == 504
    error = late.json()
    assert error["code"] == "deadline_passed"
    assert "had 40 ms" in error["message"]
    assert "waited for the model" in error["message"]
    assert error["context"]["waited_ms"] >= 40
    found.held.gate.set()
    thread.join(20)
    assert answers[0].status_code == 200
    wait_for(lambda: found.service.router.find("digits").batcher.pending == 0)
    assert found.held.rows == 1


def test_a_large_body_that_is_decoded_aside_has_a_deadline_too(found):
    thread, _ = occupy(found)
    body = {"inputs": np.zeros((200, 1, 8, 8)).tolist()}
    late = found.http.post(PATH, json=body, headers={"x-request-timeout-ms": "150"})
    assert late.status_code == 504
    found.held.gate.set()
    thread.join(20)
    wait_for(lambda: found.service.router.find("digits").batcher.pending == 0)
    assert found.held.rows == 1


def test_tritons_client_sends_it_in_microseconds(found):
    thread, _ = occupy(found)
    client = InferenceServerClient(found.url.removeprefix("http://"))
    tensor = InferInput("input", [1, 1, 8, 8], "FP32")
    tensor.set_data_from_numpy(np.zeros((1, 1, 8, 8), np.float32))
    headers = {"authorization": f"Bearer {found.token}"}
    with pytest.raises(InferenceServerException, match="had 40 ms") as error:
        client.infer("digits", [tensor], timeout=40_000, headers=headers)
    assert error.value.status() == "504"
    found.held.gate.set()
    thread.join(20)
    assert client.infer("digits", [tensor], timeout=60_000_000, headers=dict(headers)).as_numpy(
        "output"
    ).shape == (1, 10)
    client.close()


def test_an_answer_in_time_is_the_answer(found):
    found.held.gate.set()
    for _ in range(20):
        answer = found.http.post(PATH, json=BODY, headers={"x-request-timeout-ms": "30000"})
        assert answer.status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"x-request-timeout-ms": "soon"},
        {"x-request-timeout-ms": "0"},
        {"x-request-timeout-ms": "-1"},
        {"x-request-timeout-ms": "1e3"},
        {"grpc-timeout": "10"},
        {"grpc-timeout": "123456789m"},
        {"x-envoy-expected-rq-timeout-ms": "nan"},
    ],
)
def test_what_is_no_time_is_refused(found, headers):
    answer = found.http.post(PATH, json=BODY, headers=headers)
    assert answer.status_code == 400
    assert next(iter(headers)) in answer.json()["message"]


@pytest.mark.parametrize("timeout", [-1, 1.5, "1", True, []])
def test_a_v2_timeout_is_whole_microseconds(found, timeout):
    tensor = {"name": "input", "shape": [1, 1, 8, 8], "datatype": "FP32", "data": [0] * 64}
    body = {"inputs": [tensor], "parameters": {"timeout": timeout}}
    answer = found.http.post("/v2/models/digits/infer", json=body)
    assert answer.status_code == 400
    assert "microseconds" in answer.text


def test_a_caller_that_is_gone_is_dropped_from_the_queue(found):
    thread, _ = occupy(found)
    batcher = found.service.router.find("digits").batcher
    request = raw_request(
        "POST",
        PATH,
        token=found.token,
        body=b'{"inputs": %s}' % str(BODY["inputs"]).encode(),
        headers=["Content-Type: application/json"],
    )
    gone = found.socket()
    gone.sendall(request)
    wait_for(lambda: batcher.pending == 2)
    gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    gone.close()
    wait_for(lambda: len(found.service.server.connections) == 1)
    found.held.gate.set()
    thread.join(20)
    wait_for(lambda: batcher.pending == 0)
    assert found.held.rows == 1
