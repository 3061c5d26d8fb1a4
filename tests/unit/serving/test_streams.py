"""Answers in pieces over HTTP, from an engine that counts: order, room, who leaves, faults."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from dataclasses import replace

import pytest

from tests.unit.serving.counting import counting
from tests.unit.serving.harness import raw_request, read_all, running, wait_for
from workbench.serving.repository import load_source
from workbench.serving.served import Source
from workbench.serving.service import Settings
from workbench.serving.streams import StreamLimits

AHEAD = StreamLimits().ahead
PATH = "/v2/models/count/infer_stream"


@pytest.fixture
def found(square_file, tmp_path):
    path = tmp_path / "count.count"
    path.write_text("5")
    with counting():
        sources = [Source("count", "1", path, None, str(path)), square_file]
        sources[1] = Source("square", "1", square_file, None, str(square_file))
        loaded = [load_source(source) for source in sources]
        model = loaded[0].model
        log = tmp_path / "log"
        with running(loaded=loaded, settings=Settings(drain_s=5), log_folder=log) as endpoint:
            endpoint.model, endpoint.log = model, log
            yield endpoint
            model.gate.set()


def body(more=0, **fields):
    tensor = {"name": "more", "shape": [1], "datatype": "INT64", "data": [more]}
    return json.dumps({"inputs": [tensor], **fields}).encode()


def request(found, data=None, headers=()):
    return raw_request("POST", PATH, token=found.token, body=data or body(), headers=headers)


def numbers(lines):
    return [json.loads(line)["outputs"][0]["data"][0] for line in lines]


def events(text):
    """Returns (event, data) of each server-sent event."""
    found = []
    for block in text.split("\n\n")[:-1]:
        fields = dict(line.split(": ", 1) for line in block.split("\n"))
        found.append((fields.get("event"), fields["data"]))
    return found


def in_flight(found):
    return found.service.router.find("count", "1").metrics.streams


class Reader:
    """One caller on a socket of its own, reading piece by piece."""

    def __init__(self, found, data=None, headers=()):
        self.connection = found.socket()
        self.connection.sendall(request(found, data, headers))
        self.stream = self.connection.makefile("rb")

    def head(self):
        while self.stream.readline() != b"\r\n":
            pass

    def piece(self):
        size = int(self.stream.readline(), 16)
        data = self.stream.read(size)
        assert self.stream.read(2) == b"\r\n"
        return data

    def close(self):
        self.stream.close()
        self.connection.close()


# what comes --------------------------------------------------------------------------------


def test_lines_come_in_order_and_complete(found):
    answer = found.http.post(PATH, content=body())
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert answer.headers["transfer-encoding"] == "chunked"
    lines = answer.text.splitlines()
    assert numbers(lines) == [1, 2, 3, 4, 5]
    assert json.loads(lines[2]) == {
        "model_name": "count",
        "model_version": "1",
        "outputs": [
            {"name": "number", "shape": [1], "datatype": "INT64", "data": [3]},
            {"name": "text", "shape": [1], "datatype": "BYTES", "data": ["3"]},
        ],
    }
    assert found.http.get("/v2/health/live").status_code == 200  # on the same connection


def test_events_come_in_order_and_say_when_they_are_done(found):
    answer = found.http.post(PATH, content=body(), headers={"accept": "text/event-stream"})
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    *pieces, last = events(answer.text)
    assert numbers(data for _, data in pieces) == [1, 2, 3, 4, 5]
    assert {event for event, _ in pieces} == {None}
    assert last == (None, "[DONE]")


def test_no_pieces_are_an_empty_answer(found):
    assert found.http.post(PATH, content=body(-5)).text == ""
    answer = found.http.post(PATH, content=body(-5), headers={"accept": "text/event-stream"})
    assert answer.text == "data: [DONE]\n\n"


def test_an_older_caller_gets_a_body_that_ends_with_the_connection(found):
    data = request(found).replace(b"HTTP/1.1", b"HTTP/1.0")
    head, _, answer = found.exchange(data).partition(b"\r\n\r\n")
    assert b"transfer-encoding" not in head
    assert b"connection: close" in head
    assert numbers(answer.splitlines()) == [1, 2, 3, 4, 5]


def test_a_model_that_gives_all_at_once_gives_one_piece(found):
    tensor = {"name": "input", "shape": [3], "datatype": "FP32", "data": [1, 2, 3]}
    sent = json.dumps({"inputs": [tensor]}).encode()
    once = found.http.post("/v2/models/square/infer", content=sent).json()
    (line,) = found.http.post("/v2/models/square/infer_stream", content=sent).text.splitlines()
    assert json.loads(line) == once


def test_only_the_outputs_asked_for_and_the_callers_id(found):
    sent = body(outputs=[{"name": "text"}], id="mine")
    lines = found.http.post(PATH, content=sent).text.splitlines()
    assert [o["name"] for o in json.loads(lines[0])["outputs"]] == ["text"]
    assert json.loads(lines[0])["id"] == "mine"


# when --------------------------------------------------------------------------------------


def test_the_first_piece_arrives_before_the_next_is_made(found):
    found.model.held = 1
    reader = Reader(found)
    reader.head()
    assert numbers([reader.piece()]) == [1]
    assert found.model.made == 1
    found.model.gate.set()
    assert numbers(reader.piece() for _ in range(4)) == [2, 3, 4, 5]
    assert reader.piece() == b""
    reader.close()


def test_infer_is_answered_while_a_stream_of_the_same_model_is_held(found):
    """The stream has a thread of its own; `predict` runs in the model's."""
    found.model.held = 1
    reader = Reader(found)
    reader.head()
    reader.piece()
    for _ in range(3):
        answer = found.http.post("/v2/models/count/infer", content=body(2)).json()
        assert answer["outputs"][0]["data"] == [7]
    assert found.model.made == 1
    assert found.model.threads == {"stream-count@1"}
    found.model.gate.set()
    assert numbers(reader.piece() for _ in range(4)) == [2, 3, 4, 5]
    reader.close()


def test_streams_side_by_side_are_each_complete(found):
    readers = [Reader(found, body(more)) for more in range(8)]
    for more, reader in enumerate(readers):
        reader.head()
        assert numbers(reader.piece() for _ in range(5 + more)) == list(range(1, 6 + more))
        assert reader.piece() == b""
        reader.close()


def test_a_reader_that_is_slow_is_not_run_ahead_of(found):
    """With pieces larger than all buffers on the way, those made can be counted."""
    found.model.n, found.model.padding = -1, 8_000_000
    reader = Reader(found)
    reader.head()
    taken = 0
    for _ in range(3):
        found.model.wait_made(taken + AHEAD)
        for _ in range(20):  # the loop and the thread had every chance to go on
            assert found.http.get("/v2/health/live").status_code == 200
        assert found.model.made <= taken + AHEAD + 2  # one on its way, one that is being read
        reader.piece()
        taken += 1
    reader.close()
    assert found.model.closed.wait(30)


def test_a_stream_behind_another_answer_waits_for_its_turn(found):
    found.model.held = 1
    with found.socket() as connection:
        connection.sendall(request(found) + request(found, body(100)))
        wait_for(lambda: in_flight(found) == 2)
        found.model.gate.set()
        stream = connection.makefile("rb")
        got = [stream.readline() for _ in range(2)]
        assert b"200" in got[0]
        stream.close()
    wait_for(lambda: in_flight(found) == 0)


# who leaves --------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["closed", "half closed", "reset"])
def test_who_leaves_ends_the_work_within_a_piece(found, how):
    found.model.held, found.model.n = 2, -1
    reader = Reader(found)
    reader.head()
    assert numbers(reader.piece() for _ in range(2)) == [1, 2]
    if how == "half closed":
        reader.connection.shutdown(socket.SHUT_WR)
    else:
        if how == "reset":
            linger = struct.pack("ii", 1, 0)
            reader.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        reader.close()
    wait_for(lambda: in_flight(found) == 0)
    assert not found.model.closed.is_set()  # in the middle of a piece
    found.model.gate.set()
    assert found.model.closed.wait(30)
    assert found.model.made <= 3
    reader.close()
    metrics = found.service.router.find("count", "1").metrics
    assert metrics.requests == {("v2", 499): 1}


def test_a_caller_that_never_reads_is_let_go(found):
    found.service.server.limits = replace(found.service.server.limits, body_s=0.5)
    found.model.n, found.model.padding = -1, 8_000_000
    reader = Reader(found)
    assert found.model.closed.wait(30)
    wait_for(lambda: in_flight(found) == 0)
    reader.close()


def test_a_deadline_in_the_middle_is_the_last_piece(found):
    found.model.held = 2
    headers = ["x-request-timeout-ms: 300"]
    reader = Reader(found, headers=headers)
    reader.head()
    assert numbers(reader.piece() for _ in range(2)) == [1, 2]
    last = json.loads(reader.piece())
    assert last["code"] == "deadline_passed"
    assert "only 2 of its pieces" in last["message"]
    assert reader.piece() == b""
    reader.close()
    assert not found.model.closed.is_set()
    found.model.gate.set()
    assert found.model.closed.wait(30)
    assert found.model.made <= 3


def test_a_deadline_before_the_first_piece_is_refused_as_elsewhere(found):
    found.model.held = 0
    answer = found.http.post(PATH, content=body(parameters={"timeout": 100_000}))
    assert answer.status_code == 504
    assert "its first piece" in answer.json()["message"]
    found.model.gate.set()
    assert found.model.closed.wait(30)


# faults ------------------------------------------------------------------------------------


def test_an_error_in_the_middle_is_the_last_piece_and_the_models_fault(found, caplog):
    found.model.fails_at = 2
    lines = found.http.post(PATH, content=body()).text.splitlines()
    assert numbers(lines[:2]) == [1, 2]
    last = json.loads(lines[2])
    assert last["code"] == "model_failed"
    assert "secret" not in last["error"]
    answer = found.http.post(PATH, content=body(), headers={"accept": "text/event-stream"})
    event, data = events(answer.text)[-1]
    assert (event, json.loads(data)["code"]) == ("error", "model_failed")
    metrics = found.service.router.find("count", "1").metrics
    assert metrics.failures() == 2
    assert metrics.errors == {"model_failed": 2}
    found.model.fails_at = None
    assert numbers(found.http.post(PATH, content=body()).text.splitlines()) == [1, 2, 3, 4, 5]


def test_an_error_before_the_first_piece_has_its_status(found):
    found.model.fails_at = 0
    answer = found.http.post(PATH, content=body())
    assert answer.status_code == 500
    assert answer.json()["code"] == "model_failed"


@pytest.mark.parametrize("piece", [None, {}, {"number": 1, "text": 2}])
def test_what_is_no_piece_names_the_rule(found, piece):
    found.model._piece = lambda number: piece
    answer = found.http.post(PATH, content=body())
    assert answer.status_code == 500
    assert "no piece of an answer" in answer.json()["message"]


def test_wrong_inputs_are_refused_as_by_infer(found):
    assert found.http.post(PATH, content=b'{"inputs": []}').status_code == 400
    binary = body(parameters={"binary_data_output": True})
    assert found.http.post(PATH, content=binary).status_code == 400
    assert found.http.post(PATH.replace("count", "none"), content=body()).status_code == 404
    assert raw_status(found, raw_request("POST", PATH, body=body())) == 401


def raw_status(found, data):
    with found.socket() as connection:
        connection.sendall(data)
        return int(connection.recv(65536).split()[1])


def test_more_streams_than_may_be_are_refused(found):
    found.model.held = 0
    readers = [Reader(found) for _ in range(StreamLimits().open)]
    wait_for(lambda: in_flight(found) == len(readers))
    answer = found.http.post(PATH, content=body())
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "1"
    found.model.gate.set()
    for reader in readers:
        reader.head()
        assert numbers(reader.piece() for _ in range(5)) == [1, 2, 3, 4, 5]
        reader.close()


# what is counted, and the end --------------------------------------------------------------


def test_one_line_and_the_figures_tell_of_a_stream(found):
    found.http.post(PATH, content=body())
    page = found.http.get("/metrics").text
    of = 'model="count",version="1"'
    assert f"workbench_pieces_total{{{of}}} 5" in page
    assert f"workbench_first_piece_seconds_count{{{of}}} 1" in page
    assert f"workbench_piece_seconds_count{{{of}}} 4" in page
    assert f"workbench_streams{{{of}}} 0" in page
    assert f"workbench_in_flight{{{of}}} 0" in page
    lines = wait_for(
        lambda: [
            line
            for path in found.log.glob("*.jsonl")
            for line in map(json.loads, path.read_text().splitlines())
            if line.get("model") == "count"
        ]
    )
    assert [(line["status"], line["pieces"]) for line in lines] == [(200, 5)]
    assert 0 < lines[0]["first_ms"] <= lines[0]["total_ms"]


def test_the_end_waits_for_a_stream(found):
    found.model.held = 1
    reader = Reader(found)
    reader.head()
    reader.piece()
    stopping = asyncio.run_coroutine_threadsafe(found.service.stop(), found.loop)
    wait_for(lambda: found.service.server.is_draining)
    assert not stopping.done()
    found.model.gate.set()
    assert numbers(reader.piece() for _ in range(4)) == [2, 3, 4, 5]
    assert reader.piece() == b""
    assert read_all(reader.connection) == b""
    assert stopping.result(30)
    assert found.model.is_unloaded
    reader.close()
