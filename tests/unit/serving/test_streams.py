"""Answers in pieces over HTTP, from an engine that counts: order, room, who leaves, faults."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from dataclasses import replace

import pytest

from tests.unit.serving.counting import in_flight
from tests.unit.serving.harness import raw_request, read_all, wait_for
from workbench.serving.answer import Answer
from workbench.serving.streams import StreamLimits, Streams

AHEAD = StreamLimits().ahead
PATH = "/v2/models/count/infer_stream"


def body(more=0, **fields):
    tensor = {"name": "more", "shape": [1], "datatype": "INT64", "data": [more]}
    return json.dumps({"inputs": [tensor], **fields}).encode()


def request(counted, data=None, headers=()):
    return raw_request("POST", PATH, token=counted.token, body=data or body(), headers=headers)


def numbers(lines):
    return [json.loads(line)["outputs"][0]["data"][0] for line in lines]


def events(text):
    """Returns (event, data) of each server-sent event."""
    made = []
    for block in text.split("\n\n")[:-1]:
        fields = dict(line.split(": ", 1) for line in block.split("\n"))
        made.append((fields.get("event"), fields["data"]))
    return made


class Reader:
    """One caller on a socket of its own, reading piece by piece."""

    def __init__(self, counted, data=None, headers=()):
        self.connection = counted.socket()
        self.connection.sendall(request(counted, data, headers))
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


def test_lines_come_in_order_and_complete(counted):
    answer = counted.http.post(PATH, content=body())
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
    assert counted.http.get("/v2/health/live").status_code == 200  # on the same connection


def test_events_come_in_order_and_say_when_they_are_done(counted):
    answer = counted.http.post(PATH, content=body(), headers={"accept": "text/event-stream"})
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    *pieces, last = events(answer.text)
    assert numbers(data for _, data in pieces) == [1, 2, 3, 4, 5]
    assert {event for event, _ in pieces} == {None}
    assert last == (None, "[DONE]")


def test_no_pieces_are_an_empty_answer(counted):
    assert counted.http.post(PATH, content=body(-5)).text == ""
    answer = counted.http.post(PATH, content=body(-5), headers={"accept": "text/event-stream"})
    assert answer.text == "data: [DONE]\n\n"


def test_an_older_caller_gets_a_body_that_ends_with_the_connection(counted):
    data = request(counted).replace(b"HTTP/1.1", b"HTTP/1.0")
    head, _, answer = counted.exchange(data).partition(b"\r\n\r\n")
    assert b"transfer-encoding" not in head
    assert b"connection: close" in head
    assert numbers(answer.splitlines()) == [1, 2, 3, 4, 5]


def test_a_model_that_gives_all_at_once_gives_one_piece(counted):
    tensor = {"name": "input", "shape": [3], "datatype": "FP32", "data": [1, 2, 3]}
    sent = json.dumps({"inputs": [tensor]}).encode()
    once = counted.http.post("/v2/models/square/infer", content=sent).json()
    (line,) = counted.http.post("/v2/models/square/infer_stream", content=sent).text.splitlines()
    assert json.loads(line) == once


def test_only_the_outputs_asked_for_and_the_callers_id(counted):
    sent = body(outputs=[{"name": "text"}], id="mine")
    lines = counted.http.post(PATH, content=sent).text.splitlines()
    assert [o["name"] for o in json.loads(lines[0])["outputs"]] == ["text"]
    assert json.loads(lines[0])["id"] == "mine"


def test_the_generate_extension_answers_at_once_and_in_events(counted):
    once = counted.http.post("/v2/models/count/generate", json={"more": 2})
    assert once.json() == {"model_name": "count", "model_version": "1", "number": 7, "text": "7"}
    path = "/v2/models/count/versions/1/generate_stream"
    answer = counted.http.post(path, json={"more": [0], "parameters": {"timeout": 0}})
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    got = events(answer.text)
    assert [json.loads(data)["text"] for _, data in got] == list("12345")
    counted.model.fails_at = 1
    event, data = events(counted.http.post(path, json={"more": 0}).text)[-1]
    assert (event, json.loads(data)["error"]) == (None, "The model failed: Stop.")
    for wrong in ({"less": 0}, {"more": "a"}, {"more": [[1]]}, {"more": 0, "text_input": "a"}):
        assert counted.http.post(path, json=wrong).status_code == 422


# when --------------------------------------------------------------------------------------


def test_the_first_piece_arrives_before_the_next_is_made(counted):
    counted.model.held = 1
    reader = Reader(counted)
    reader.head()
    assert numbers([reader.piece()]) == [1]
    assert counted.model.made == 1
    counted.model.gate.set()
    assert numbers(reader.piece() for _ in range(4)) == [2, 3, 4, 5]
    assert reader.piece() == b""
    reader.close()


def test_infer_is_answered_while_a_stream_of_the_same_model_is_held(counted):
    """The stream has a thread of its own; `predict` runs in the model's."""
    counted.model.held = 1
    reader = Reader(counted)
    reader.head()
    reader.piece()
    for _ in range(3):
        answer = counted.http.post("/v2/models/count/infer", content=body(2)).json()
        assert answer["outputs"][0]["data"] == [7]
    assert counted.model.made == 1
    assert counted.model.threads == {"stream-count@1"}
    counted.model.gate.set()
    assert numbers(reader.piece() for _ in range(4)) == [2, 3, 4, 5]
    reader.close()


def test_streams_side_by_side_are_each_complete(counted):
    readers = [Reader(counted, body(more)) for more in range(8)]
    for more, reader in enumerate(readers):
        reader.head()
        assert numbers(reader.piece() for _ in range(5 + more)) == list(range(1, 6 + more))
        assert reader.piece() == b""
        reader.close()


def test_a_reader_that_is_slow_is_not_run_ahead_of(counted):
    """With pieces larger than all buffers on the way, those made can be counted."""
    counted.model.n, counted.model.padding = -1, 8_000_000
    reader = Reader(counted)
    reader.head()
    for taken in range(3):
        counted.model.wait_made(taken + AHEAD)
        for _ in range(20):  # the loop and the thread had every chance to go on
            assert counted.http.get("/v2/health/live").status_code == 200
        assert counted.model.made <= taken + AHEAD + 2  # one on its way, one that is being read
        reader.piece()
    reader.close()
    assert counted.model.closed.wait(30)


def test_a_stream_behind_another_answer_waits_for_its_turn(counted):
    counted.model.held = 1
    with counted.socket() as connection:
        connection.sendall(request(counted) + request(counted, body(100)))
        wait_for(lambda: in_flight(counted) == 2)
        counted.model.gate.set()
        stream = connection.makefile("rb")
        got = [stream.readline() for _ in range(2)]
        assert b"200" in got[0]
        stream.close()
    wait_for(lambda: in_flight(counted) == 0)


def test_the_iterator_is_never_further_ahead_than_the_bound():
    """Each piece taken makes room for one more, and no other does."""

    async def read():
        made, seen = [], []
        ready = asyncio.Event()
        loop = asyncio.get_running_loop()

        def count():
            for number in range(20):
                made.append(number)
                loop.call_soon_threadsafe(ready.set)
                yield number

        stream = Streams("m", StreamLimits(ahead=3)).open(count, lambda piece: piece)
        async for piece in stream:
            while len(made) < min(20, piece + 3):
                ready.clear()
                await ready.wait()
            seen.append((piece, len(made)))
        return seen

    seen = asyncio.run(read())
    assert [piece for piece, _ in seen] == list(range(20))
    assert all(made <= piece + 3 for piece, made in seen)


def test_a_stream_is_closed_whatever_its_iterator_does_then(caplog):
    class Stubborn:
        def __iter__(self):
            return iter(range(5))

        def close(self):
            raise OSError("will not")

    async def read():
        streams = Streams("m")
        stream = streams.open(Stubborn, lambda piece: piece)
        assert await anext(stream) == 0
        stream.drop()
        await streams.drain()
        return len(streams)

    assert asyncio.run(read()) == 0
    assert "a step failed" in caplog.text


# who leaves --------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["closed", "half closed", "reset"])
def test_who_leaves_ends_the_work_within_a_piece(counted, how):
    counted.model.held, counted.model.n = 2, -1
    reader = Reader(counted)
    reader.head()
    assert numbers(reader.piece() for _ in range(2)) == [1, 2]
    if how == "half closed":
        reader.connection.shutdown(socket.SHUT_WR)
    else:
        if how == "reset":
            linger = struct.pack("ii", 1, 0)
            reader.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        reader.close()
    wait_for(lambda: in_flight(counted) == 0)
    assert not counted.model.closed.is_set()  # in the middle of a piece
    counted.model.gate.set()
    assert counted.model.closed.wait(30)
    assert counted.model.made <= 3
    reader.close()
    metrics = counted.service.router.find("count", "1").metrics
    wait_for(lambda: metrics.requests == {("v2", 499): 1})


def test_a_caller_that_never_reads_is_let_go(counted):
    counted.service.server.limits = replace(counted.service.server.limits, body_s=0.5)
    counted.model.n, counted.model.padding = -1, 8_000_000
    reader = Reader(counted)
    assert counted.model.closed.wait(30)
    wait_for(lambda: in_flight(counted) == 0)
    reader.close()


def test_a_deadline_in_the_middle_is_the_last_piece(counted):
    counted.model.held = 2
    headers = ["x-request-timeout-ms: 300"]
    reader = Reader(counted, headers=headers)
    reader.head()
    assert numbers(reader.piece() for _ in range(2)) == [1, 2]
    last = json.loads(reader.piece())
    assert last["code"] == "deadline_passed"
    assert "only 2 of its pieces" in last["message"]
    assert reader.piece() == b""
    reader.close()
    assert not counted.model.closed.is_set()
    counted.model.gate.set()
    assert counted.model.closed.wait(30)
    assert counted.model.made <= 3


def test_a_deadline_before_the_first_piece_is_refused_as_elsewhere(counted):
    counted.model.held = 0
    answer = counted.http.post(PATH, content=body(parameters={"timeout": 100_000}))
    assert answer.status_code == 504
    assert "its first piece" in answer.json()["message"]
    counted.model.gate.set()
    assert counted.model.closed.wait(30)


# faults ------------------------------------------------------------------------------------


def test_an_error_in_the_middle_is_the_last_piece_and_the_models_fault(counted, caplog):
    counted.model.fails_at = 2
    lines = counted.http.post(PATH, content=body()).text.splitlines()
    assert numbers(lines[:2]) == [1, 2]
    last = json.loads(lines[2])
    assert last["code"] == "model_failed"
    assert "secret" not in last["error"]
    answer = counted.http.post(PATH, content=body(), headers={"accept": "text/event-stream"})
    event, data = events(answer.text)[-1]
    assert (event, json.loads(data)["code"]) == ("error", "model_failed")
    metrics = counted.service.router.find("count", "1").metrics
    assert metrics.failures() == 2
    assert metrics.errors == {"model_failed": 2}
    counted.model.fails_at = None
    assert numbers(counted.http.post(PATH, content=body()).text.splitlines()) == [1, 2, 3, 4, 5]


def test_an_error_before_the_first_piece_has_its_status(counted):
    counted.model.fails_at = 0
    answer = counted.http.post(PATH, content=body())
    assert answer.status_code == 500
    assert answer.json()["code"] == "model_failed"


@pytest.mark.parametrize("piece", [None, {}, {"number": 1, "text": 2}])
def test_what_is_no_piece_names_the_rule(counted, piece):
    counted.model._piece = lambda number: piece
    answer = counted.http.post(PATH, content=body())
    assert answer.status_code == 500
    assert "no piece of an answer" in answer.json()["message"]


def test_wrong_inputs_are_refused_as_by_infer(counted):
    assert counted.http.post(PATH, content=b'{"inputs": []}').status_code == 400
    binary = body(parameters={"binary_data_output": True})
    assert counted.http.post(PATH, content=binary).status_code == 400
    assert counted.http.post(PATH.replace("count", "none"), content=body()).status_code == 404
    assert raw_status(counted, raw_request("POST", PATH, body=body())) == 401


def raw_status(counted, data):
    with counted.socket() as connection:
        connection.sendall(data)
        return int(connection.recv(65536).split()[1])


def test_a_defect_in_the_middle_ends_this_connection_and_no_other(counted, monkeypatch):
    """What is cut off is not taken for whole, and nobody waits for ever."""
    counted.model.held = 1
    readers = [Reader(counted), Reader(counted, body(1))]
    for reader in readers:
        reader.head()
        assert numbers([reader.piece()]) == [1]
    write, marked = Answer.write, []

    def failing(answer, data):
        marked.append(answer)
        if answer is marked[0]:
            raise ZeroDivisionError("a defect")
        write(answer, data)

    monkeypatch.setattr(Answer, "write", failing)
    counted.model.gate.set()
    rests = [reader.stream.readline() for reader in readers]
    assert sorted(map(len, rests))[0] == 0  # one connection has ended, without the last chunk
    (good,) = [reader for reader, rest in zip(readers, rests, strict=True) if rest]
    while good.stream.readline() != b"0\r\n":
        pass
    wait_for(lambda: in_flight(counted) == 0)
    assert sorted(counted.service.router.find("count", "1").metrics.requests.values()) == [1, 1]
    for reader in readers:
        reader.close()


def test_more_streams_than_may_be_are_refused(counted):
    counted.model.held = 0
    readers = [Reader(counted) for _ in range(StreamLimits().open)]
    wait_for(lambda: in_flight(counted) == len(readers))
    answer = counted.http.post(PATH, content=body())
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "1"
    counted.model.gate.set()
    for reader in readers:
        reader.head()
        assert numbers(reader.piece() for _ in range(5)) == [1, 2, 3, 4, 5]
        reader.close()


# what is counted, and the end --------------------------------------------------------------


def test_one_line_and_the_figures_tell_of_a_stream(counted):
    counted.http.post(PATH, content=body())
    page = counted.http.get("/metrics").text
    of = 'model="count",version="1"'
    assert f"workbench_pieces_total{{{of}}} 5" in page
    assert f"workbench_first_piece_seconds_count{{{of}}} 1" in page
    assert f"workbench_piece_seconds_count{{{of}}} 4" in page
    assert f"workbench_streams{{{of}}} 0" in page
    assert f"workbench_in_flight{{{of}}} 0" in page
    lines = wait_for(
        lambda: [
            line
            for path in counted.log.glob("*.jsonl")
            for line in map(json.loads, path.read_text().splitlines())
            if line.get("model") == "count"
        ]
    )
    assert [(line["status"], line["pieces"]) for line in lines] == [(200, 5)]
    assert 0 < lines[0]["first_ms"] <= lines[0]["total_ms"]


def test_the_end_waits_for_a_stream(counted):
    counted.model.held = 1
    reader = Reader(counted)
    reader.head()
    reader.piece()
    stopping = asyncio.run_coroutine_threadsafe(counted.service.stop(), counted.loop)
    wait_for(lambda: counted.service.server.is_draining)
    assert not stopping.done()
    counted.model.gate.set()
    assert numbers(reader.piece() for _ in range(4)) == [2, 3, 4, 5]
    assert reader.piece() == b""
    assert read_all(reader.connection) == b""
    assert stopping.result(30)
    assert counted.model.is_unloaded
    reader.close()
