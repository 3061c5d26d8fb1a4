"""Answers in pieces over gRPC, as Triton's own client asks for them."""

from __future__ import annotations

import queue

import grpc
import numpy as np
import pytest
from tritonclient.grpc import service_pb2, service_pb2_grpc

from tests.unit.serving.counting import in_flight
from tests.unit.serving.harness import wait_for
from tests.unit.serving.rpc_client import Client, tensor
from workbench.serving.streams import StreamLimits


class Talk:
    """Triton's client with its stream, and what came over it."""

    def __init__(self, counted, **options):
        self.made = Client(counted)
        self.came = queue.Queue()
        self.made.start_stream(lambda result, error: self.came.put(error or result), **options)

    def ask(self, more=0, model="count", **options):
        value = np.asarray([more], np.int64)
        self.made.client.async_stream_infer(model, [tensor("more", value, "INT64")], **options)

    def next(self):
        return self.came.get(timeout=30)

    def number(self):
        return int(self.next().as_numpy("number")[0])

    def close(self, **options):
        stream = self.made.client._stream
        self.made.client.stop_stream(**options)
        stream._request_queue.put(None)  # or grpc's thread would wait there for ever
        self.made.client.close()


@pytest.fixture
def talk(counted):
    made = Talk(counted)
    yield made
    counted.model.gate.set()
    made.close(cancel_requests=True)


def test_pieces_of_several_requests_come_in_order(talk):
    talk.ask(request_id="a")
    talk.ask(1, request_id="b")
    got = [talk.next() for _ in range(5 + 6)]
    assert [int(one.as_numpy("number")[0]) for one in got] == [1, 2, 3, 4, 5, 1, 2, 3, 4, 5, 6]
    assert [one.get_response().id for one in got] == ["a"] * 5 + ["b"] * 6
    assert got[2].as_numpy("text")[0] == b"3"


def test_the_end_is_told_to_who_asks(talk):
    talk.ask(enable_empty_final_response=True)
    assert [talk.number() for _ in range(5)] == [1, 2, 3, 4, 5]
    last = talk.next().get_response()
    assert last.parameters["triton_final_response"].bool_param
    assert not last.outputs


def test_the_first_piece_arrives_before_the_next_is_made(counted, talk):
    counted.model.held = 1
    talk.ask()
    assert talk.number() == 1
    assert counted.model.made == 1
    counted.model.gate.set()
    assert [talk.number() for _ in range(4)] == [2, 3, 4, 5]


def test_a_request_that_fails_is_told_and_the_call_goes_on(counted, talk):
    talk.ask(model="none")
    assert "none" in str(talk.next())
    counted.model.fails_at = 2
    talk.ask()
    assert [talk.number() for _ in range(2)] == [1, 2]
    assert "The model failed" in str(talk.next())
    counted.model.fails_at = None
    talk.ask()
    assert [talk.number() for _ in range(5)] == [1, 2, 3, 4, 5]
    metrics = counted.service.router.find("count", "1").metrics
    wait_for(lambda: metrics.requests == {("grpc", 500): 1, ("grpc", 200): 1})


def test_a_model_that_gives_all_at_once_gives_one_piece(counted, talk):
    inputs = [tensor("input", np.asarray([1, 2, 3], np.float32), "FP32")]
    talk.made.client.async_stream_infer("square", inputs)
    np.testing.assert_array_equal(talk.next().as_numpy("output"), [1, 4, 9])


def test_a_deadline_in_the_middle_is_told(counted, talk):
    counted.model.held = 2
    talk.ask(timeout=300_000)
    assert [talk.number() for _ in range(2)] == [1, 2]
    assert "only 2 of its pieces" in str(talk.next())
    counted.model.gate.set()
    assert counted.model.closed.wait(30)


def test_who_cancels_ends_the_work_within_a_piece(counted):
    counted.model.held, counted.model.n = 2, -1
    talk = Talk(counted)
    talk.ask()
    assert [talk.number() for _ in range(2)] == [1, 2]
    talk.close(cancel_requests=True)
    wait_for(lambda: in_flight(counted) == 0)
    counted.model.gate.set()
    assert counted.model.closed.wait(30)
    assert counted.model.made <= 3


def test_a_reader_that_is_slow_is_not_run_ahead_of(counted):
    counted.model.n, counted.model.padding = -1, 1_000_000
    sent = service_pb2.ModelInferRequest(model_name="count")
    made = sent.inputs.add(name="more", datatype="INT64", shape=[1])
    made.contents.int64_contents.append(0)
    metadata = (("authorization", f"Bearer {counted.token}"),)
    with grpc.insecure_channel(f"127.0.0.1:{counted.service.grpc_port}") as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        answers = stub.ModelStreamInfer(iter([sent]), metadata=metadata)
        next(answers)
        counted.model.wait_made(1 + StreamLimits().ahead)
        for _ in range(50):
            assert counted.http.get("/v2/health/live").status_code == 200
        assert counted.model.made < 40  # what the transport holds, and no more
        answers.cancel()
    assert counted.model.closed.wait(30)


def test_without_a_token_there_is_no_call(counted):
    with grpc.insecure_channel(f"127.0.0.1:{counted.service.grpc_port}") as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        with pytest.raises(grpc.RpcError) as caught:
            next(stub.ModelStreamInfer(iter([service_pb2.ModelInferRequest()])))
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED


def test_an_idle_call_does_not_hold_up_the_end(counted, talk):
    talk.ask()
    assert [talk.number() for _ in range(5)] == [1, 2, 3, 4, 5]
    assert counted.call(counted.service.stop())
