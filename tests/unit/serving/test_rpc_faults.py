"""gRPC when time, room or a connection runs out, and how it ends: deadlines, limits, TLS."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from contextlib import ExitStack

import grpc
import numpy as np
import pytest
from tritonclient.utils import InferenceServerException

from tests.unit.serving.harness import running, wait_for
from tests.unit.serving.rpc_client import (
    RPC,
    Client,
    call,
    digits_input,
    refusal,
    typed,
)
from workbench.core.errors import InputError, MissingDependencyError, UnsupportedError
from workbench.serving.batching import BatchLimits
from workbench.serving.cluster import Cluster, Plan
from workbench.serving.limits import Limits
from workbench.serving.options import Options
from workbench.serving.repository import load_source
from workbench.serving.rpc import listener
from workbench.serving.served import Source
from workbench.serving.service import Settings
from workbench.serving.tls import generated


class Gated:
    """A model that runs only when told."""

    def __init__(self, inner):
        self.signature = inner.signature
        self.inner, self.gate, self.begun = inner, threading.Event(), threading.Event()

    def predict(self, inputs):
        self.begun.set()
        assert self.gate.wait(30)
        return self.inner.predict(inputs)

    def close(self):
        self.inner.close()


@pytest.fixture
def gated(digits_file):
    loaded = load_source(Source("digits", "1", digits_file, None, "digits"))
    model = Gated(loaded.model)
    slow = type(loaded)(loaded.source, model, False, loaded.decoder)
    settings = Settings(grpc_port=0, batch=BatchLimits(queue=2))
    with running(loaded=[slow], settings=settings) as endpoint:
        endpoint.model = model
        yield endpoint
        model.gate.set()


def test_a_callers_own_deadline_is_kept(gated):
    client = Client(gated)
    with pytest.raises(InferenceServerException) as own:
        client.infer("digits", digits_input(), timeout=20_000)
    assert own.value.status() == "StatusCode.DEADLINE_EXCEEDED"
    assert "The request had 20 ms" in own.value.message()
    with pytest.raises(InferenceServerException) as transport:
        client.infer("digits", digits_input(), client_timeout=0.05)
    assert transport.value.status() == "StatusCode.DEADLINE_EXCEEDED"
    counted = 'workbench_errors_total{model="digits",version="1",code="deadline_passed"} 2'
    wait_for(lambda: counted in gated.http.get("/metrics").text)
    gated.model.gate.set()
    client.client.close()


def test_a_full_queue_tells_when_to_come_again(gated):
    client = Client(gated)
    answers = []
    for _ in range(2):
        client.async_infer("digits", digits_input(), lambda result, error: answers.append(error))
    waiting = 'workbench_queue{model="digits",version="1"} 2'
    wait_for(lambda: waiting in gated.http.get("/metrics").text)
    request = typed("digits", "input", "FP32", [1, 1, 8, 8], fp32_contents=[0.0] * 64)
    error = refusal(lambda: call(gated, request))
    assert error.code() is grpc.StatusCode.UNAVAILABLE
    assert dict(error.trailing_metadata())["grpc-retry-pushback-ms"] == "1000"
    gated.model.gate.set()
    wait_for(lambda: answers == [None, None])
    client.client.close()


def test_work_of_a_caller_that_left_is_dropped(gated):
    client = Client(gated)
    client.async_infer("digits", digits_input(), lambda result, error: None)
    assert gated.model.begun.wait(10)
    second = client.async_infer("digits", digits_input(), lambda result, error: None)
    waiting = 'workbench_queue{model="digits",version="1"} 2'
    wait_for(lambda: waiting in gated.http.get("/metrics").text)
    second.cancel()
    dropped = 'model="digits",version="1",dialect="grpc",status="499"} 1'
    wait_for(lambda: dropped in gated.http.get("/metrics").text)
    gated.model.gate.set()
    client.client.close()


def test_what_is_owed_is_answered_at_the_end(gated):
    client = Client(gated)
    answers, ends = [], []
    client.async_infer("digits", digits_input(), lambda result, error: answers.append(result))
    assert gated.model.begun.wait(10)
    stopping = threading.Thread(target=lambda: ends.append(gated.call(gated.service.stop())))
    stopping.start()
    wait_for(lambda: gated.service.server.is_draining)
    gated.model.gate.set()
    stopping.join(20)
    wait_for(lambda: answers)
    assert answers[0].as_numpy("output").shape == (1, 10)
    assert ends == [True]
    client.client.close()


def test_a_message_over_the_limit_is_refused(digits_file):
    settings = Settings(grpc_port=0, limits=Limits(body_bytes=1000))
    with running(digits_file, settings=settings) as endpoint:
        client = Client(endpoint)
        assert client.infer("digits", digits_input()).as_numpy("output").shape == (1, 10)
        with pytest.raises(InferenceServerException) as caught:
            client.infer("digits", digits_input(np.zeros((8, 1, 8, 8), np.float32)))
        assert caught.value.status() == "StatusCode.RESOURCE_EXHAUSTED"
        with pytest.raises(InferenceServerException) as packed:
            client.infer("digits", digits_input(), compression_algorithm="gzip")
        assert packed.value.status() == "StatusCode.UNIMPLEMENTED"
        client.client.close()


def test_connections_are_bounded_and_a_closed_one_makes_room(digits_file):
    def is_answered(channel):
        try:
            return bool(channel.unary_unary("/grpc.health.v1.Health/Check")(b"", timeout=10))
        except grpc.RpcError:
            return False

    def connect():
        own = [("grpc.use_local_subchannel_pool", 1)]
        return grpc.insecure_channel(f"127.0.0.1:{endpoint.service.grpc_port}", options=own)

    def is_room():
        with connect() as channel:
            return is_answered(channel)

    with running(
        digits_file, settings=Settings(grpc_port=0, limits=Limits(connections=1))
    ) as endpoint:
        with ExitStack() as held:  # eight times as many connections as calls
            channels = [held.enter_context(connect()) for _ in range(8)]
            assert all(is_answered(channel) for channel in channels)
            assert not is_room()
            assert all(is_answered(channel) for channel in channels)
        wait_for(is_room)


@pytest.mark.parametrize(
    ("files", "addresses", "each"), [(9999, 1, 800), (9999, 2, 800), (700, 2, 250), (200, 2, 50)]
)
def test_the_connections_of_all_addresses_fit_into_the_files(monkeypatch, files, addresses, each):
    """Beside a hundred of HTTP and a hundred other files."""
    monkeypatch.setattr(listener, "open_files", lambda wanted: min(wanted, files))
    assert listener._places(100, addresses) == each


def test_with_tls_who_trusts_the_certificate_is_answered(digits_file, tmp_path):
    certificate = generated(tmp_path, [])
    with running(digits_file, settings=RPC, certificate=certificate) as endpoint:
        trusted = str(certificate.path)
        client = Client(endpoint, ssl=True, root_certificates=trusted)
        assert client.infer("digits", digits_input()).as_numpy("output").shape == (1, 10)
        client.client.close()


# starting ----------------------------------------------------------------------------------


def test_a_taken_port_is_told(digits_file):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with (
            pytest.raises(InputError, match=f"127.0.0.1:{port} cannot be listened on for gRPC"),
            running(digits_file, settings=Settings(grpc_port=port)),
        ):
            pass


def test_on_a_cluster_it_is_refused_with_the_reason():
    options = Options(("digits.onnx",), settings=RPC)
    with pytest.raises(UnsupportedError, match="its one port spreads HTTP"):
        Cluster(options, [], Plan(replicas=1, cpus=1.0, address="127.0.0.1:1"))


def test_without_grpcio_the_extra_is_named(digits_file, monkeypatch):
    monkeypatch.setitem(sys.modules, "grpc", None)
    with (
        pytest.raises(MissingDependencyError, match=r"maas-workbench\[grpc\]"),
        running(digits_file, settings=RPC),
    ):
        pass


def test_serving_imports_no_grpc_unless_asked():
    code = "import sys, workbench.serving.process; print('grpc' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "False", done.stderr
