"""Small traffic without a token costs nobody else: counted in steps, bytes and places."""

import json

import pytest

from tests.unit.serving.harness import raw_request, running, wait_for
from tests.unit.serving.test_http import statuses
from workbench.core.errors import InputError, OverloadedError
from workbench.serving.body_room import BodyRoom
from workbench.serving.intake import CONNECTIONS, STEPS
from workbench.serving.limits import Limits
from workbench.serving.multipart import parse_form
from workbench.serving.options import parse, parser
from workbench.serving.places import Places
from workbench.serving.service import Settings

LIVE = raw_request("GET", "/v2/health/live")


def test_pipelined_requests_are_taken_a_few_a_turn(endpoint, monkeypatch):
    server, turns = endpoint.service.server, [0]
    handle, turn = server.handle, server.intake._turn

    def counting(answer, refusal):
        turns[-1] += 1
        handle(answer, refusal)

    def turning():
        turns.append(0)
        turn()

    monkeypatch.setattr(server, "handle", counting)
    monkeypatch.setattr(server.intake, "_turn", turning)
    answer = endpoint.exchange(LIVE * 1000, half_close=True)
    assert statuses(answer) == [200] * 1000
    assert max(turns) <= STEPS * CONNECTIONS + STEPS


def test_a_head_has_so_many_headers_and_no_more(endpoint):
    head = raw_request("GET", "/v2/health/live", headers=["a:"] * 99)
    assert statuses(endpoint.exchange(head, half_close=True)) == [200]
    head = raw_request("GET", "/v2/health/live", headers=["a:"] * 100)
    assert statuses(endpoint.exchange(head)) == [431]


def test_a_body_in_more_chunks_than_it_is_worth_is_refused(endpoint):
    chunked = ["Transfer-Encoding: chunked"]
    head = raw_request("POST", "/predict/square", token=endpoint.token, headers=chunked)
    assert statuses(endpoint.exchange(head + b"1\r\n \r\n" * 20_000)) == [400]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/nonexistent", 404),
        ("POST", "/manage/tokens", 401),
        ("POST", "/openapi.json", 405),
        ("GET", "/v2/health/live", 413),
    ],
)
def test_a_large_body_is_refused_by_its_head_where_none_is_taken(endpoint, method, path, status):
    announced = raw_request(method, path, headers=["Content-Length: 63000000"])
    assert statuses(endpoint.exchange(announced)) == [status]


def test_bodies_have_room_together_and_give_it_back(square_file):
    limits = Limits(buffered_bytes=100_000, body_bytes=90_000)
    with running(square_file, settings=Settings(limits=limits)) as found:
        body = json.dumps({"inputs": [1, 2, 3]}).encode() + b" " * 79_000
        whole = raw_request("POST", "/predict/square", token=found.token, body=body)
        room = found.service.server.room
        with found.socket() as half:
            half.sendall(whole[:-10])
            wait_for(lambda: room.taken > 79_000)
            answer = found.exchange(whole)
            assert statuses(answer) == [503]
            assert b"retry-after" in answer
        wait_for(lambda: room.taken == 0)
        for _ in range(3):
            assert found.http.post("/predict/square", content=body).status_code == 200
        wait_for(lambda: room.taken == 0)


@pytest.mark.parametrize(
    ("words", "buffered"),
    [
        ([], Limits.buffered_bytes),
        (["--max-body", "1000000000"], 1_000_000_000),
        (["--max-body", "5", "--max-buffered", "7"], 7),
    ],
)
def test_the_room_for_bodies_comes_from_the_command_line(words, buffered):
    limits = parse(parser().parse_args(["a.onnx", *words])).settings.limits
    assert limits.buffered_bytes == buffered


def test_room_in_which_not_one_body_fits_is_told():
    words = ["a.onnx", "--max-body", "8", "--max-buffered", "7"]
    with pytest.raises(InputError, match="no body of 8 bytes fits"):
        parse(parser().parse_args(words))


def test_strangers_leave_room_for_callers_with_a_token():
    room = BodyRoom(100)
    room.take(25, is_known=False)
    with pytest.raises(OverloadedError):
        room.take(1, is_known=False)
    room.take(75, is_known=True)
    room.give(25, is_known=False)
    assert room.taken == 75


def test_one_token_leaves_places_for_others(square_file):
    places = Places(4, share=2)
    assert [places.know(guest, "a") for guest in "xyz"] == [True, True, False]
    places.leave("x")
    assert places.know("z", "a")
    with running(square_file, settings=Settings(limits=Limits(connections=4))) as found:
        request = raw_request("GET", "/v2", token=found.token)
        with found.socket() as first, found.socket() as second:
            for one in (first, second):
                one.sendall(request)
                assert b" 200 OK" in one.recv(65536)
            assert statuses(found.exchange(request)) == [503]
            other = raw_request("GET", "/v2", token=found.reader, headers=["Connection: close"])
            assert statuses(found.exchange(other)) == [200]


def test_the_description_is_made_once(endpoint, monkeypatch):
    first = endpoint.http.get("/openapi.json").content
    monkeypatch.setattr("workbench.serving.app.describe", None)
    assert endpoint.http.get("/openapi.json").content == first


def test_what_is_nested_deep_in_an_order_or_an_id_is_the_callers_fault(endpoint):
    deep = "[" * 1000 + "]" * 1000
    tensor = '{"name":"input","shape":[3],"datatype":"FP32","data":[1,2,3]}'
    for path, body in (
        ("/v2/models/square/infer", f'{{"id":{deep},"inputs":[{tensor}]}}'),
        ("/manage/tokens", f'{{"name":{deep}}}'),
    ):
        assert 400 <= endpoint.http.post(path, content=body).status_code < 500


def test_the_head_of_a_part_of_a_form_is_short():
    head = b'--b\r\nContent-Disposition: form-data; name="x"\r\n' + b"a\r\n" * 100_000
    form = head + b"\r\n\r\nz\r\n--b--\r\n"
    with pytest.raises(Exception, match="no blank line"):
        parse_form("multipart/form-data;boundary=b", form)
