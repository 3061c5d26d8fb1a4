"""A head that a kept connection repeats is recognized; only the time it takes differs."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.serving.harness import raw_request, read_all, running
from workbench.serving.known_head import learn
from workbench.serving.messages import Request
from workbench.serving.security import Gate
from workbench.serving.tokens import hash_token

PATH = "/v2/models/digits/infer"


def body_of(values):
    flat = np.asarray(values, np.float32).ravel().tolist()
    tensor = {"name": "image", "shape": [len(flat) // 64, 1, 8, 8], "datatype": "FP32"}
    return json.dumps({"inputs": [{**tensor, "data": flat}]}).encode()


def answers(connection, count):
    """Reads complete responses: (status, body) of each."""
    found, data = [], b""
    while len(found) < count:
        piece = connection.recv(65536)
        assert piece, data
        data += piece
        while (end := data.find(b"\r\n\r\n")) >= 0:
            length = int(data[:end].lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            if len(data) < end + 4 + length:
                break
            found.append((int(data[9:12]), json.loads(data[end + 4 : end + 4 + length])))
            data = data[end + 4 + length :]
    return found


@pytest.fixture(scope="module")
def served(digits_file):
    with running(digits_file) as found:
        yield found


def scores(answer):
    return answer[1]["outputs"][0]["data"]


def test_repeated_requests_are_answered_each_by_its_own_body(served, digits_file):
    name = served.http.get("/v2/models/digits").json()["inputs"][0]["name"]
    rng = np.random.default_rng(0)
    bodies = [
        body_of(rng.random((rows, 64))).replace(b'"image"', json.dumps(name).encode())
        for rows in (1, 3, 1, 12, 1)
    ]
    requests = [raw_request("POST", PATH, token=served.token, body=body) for body in bodies]
    with served.socket() as connection:
        one_by_one = []
        for request in requests:
            connection.sendall(request)
            one_by_one += answers(connection, 1)
        connection.sendall(b"".join(requests))
        together = answers(connection, 5)
        for cut in (1, 60, len(requests[3]) - 1):
            connection.sendall(requests[3][:cut])
            connection.sendall(requests[3][cut:])
            assert answers(connection, 1)[0] == one_by_one[3]
    assert [status for status, _ in one_by_one] == [200] * 5
    assert one_by_one == together
    for body, answer in zip(bodies, one_by_one, strict=True):
        single = served.http.post(PATH, content=body).json()
        assert single["outputs"][0]["data"] == pytest.approx(scores(answer), abs=1e-5)


def test_what_follows_a_known_head_is_still_checked(served):
    good = raw_request("POST", PATH, token=served.token, body=b'{"inputs": 1}')
    other = raw_request("POST", PATH, token="wrong" * 9, body=b'{"inputs": 1}')
    bare = raw_request("POST", PATH, body=b'{"inputs": 1}')
    with served.socket() as connection:
        for sent, status in ((good, 400), (good, 400), (other, 403), (good, 400), (bare, 401)):
            connection.sendall(sent)
            assert answers(connection, 1)[0][0] == status


def test_a_body_that_is_too_large_is_refused_behind_a_known_head(served):
    good = raw_request("POST", PATH, token=served.token, body=b'{"inputs": 1}')
    head = good[: -len(b'{"inputs": 1}')].replace(b": 13\r\n", b": 99999999999\r\n")
    with served.socket() as connection:
        connection.sendall(good)
        assert answers(connection, 1)[0][0] == 400
        connection.sendall(head)
        assert read_all(connection).startswith(b"HTTP/1.1 413 ")


def test_a_revoked_token_is_refused_from_the_next_request_on(digits_file):
    with running(digits_file) as found:
        key = found.http.post("/manage/tokens", json={"name": "guest"}).json()["token"]
        sent = raw_request("POST", PATH, token=key, body=b'{"inputs": 1}')
        with found.socket() as connection:
            for _ in range(2):
                connection.sendall(sent)
                assert answers(connection, 1)[0][0] == 400
            assert found.http.delete("/manage/tokens/guest").status_code == 200
            connection.sendall(sent)
            assert answers(connection, 1)[0][0] == 403


def test_a_rate_limit_counts_repeated_requests(digits_file):
    grant = {"name": "slow", "limits": {"rate": 0.01, "burst": 3}}
    with running(digits_file) as found:
        key = found.http.post("/manage/tokens", json=grant).json()["token"]
        sent = raw_request("POST", PATH, token=key, body=b'{"inputs": 1}')
        with found.socket() as connection:
            connection.sendall(sent * 5)
            assert [status for status, _ in answers(connection, 5)] == [400, 400, 400, 429, 429]


HEADS = [
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n",
    b"POST / HTTP/1.1\r\ncontent-LENGTH:2\r\nHost: a\r\n\r\n",
    b"POST / HTTP/1.1\r\nContent-Length:   2\r\n\r\n",
]


@pytest.mark.parametrize("head", HEADS)
def test_only_the_length_may_differ(head):
    known = learn(head + b"{}", Request("POST", b"/", {b"content-length": b"2"}))
    assert known.match(head + b"{}") == (len(head), 2)
    longer = head.replace(b"2\r\n", b"123\r\n")
    assert known.match(longer + b"x" * 500) == (len(longer), 123)
    for wrong in (
        head[:-5],
        head.replace(b"POST", b"PUT"),
        head.replace(b"2\r\n", b"\r\n"),
        head.replace(b"2\r\n", b"-2\r\n"),
        head.replace(b"2\r\n", b"2 \r\n"),
        head.replace(b"2\r\n", b"2, 3\r\n"),
        head.replace(b"2\r\n", b"2" * 20 + b"\r\n"),
        head.replace(b"\r\n\r\n", b"\r\nX: y\r\n\r\n"),
        head.replace(b"\r\n\r\n", b"\r\nTransfer-Encoding: chunked\r\n\r\n"),
    ):
        assert known.match(wrong) is None


@pytest.mark.parametrize(
    "head",
    [
        b"POST / HTTP/1.1\nContent-Length: 2\r\n\r\n",
        b"POST / HTTP/1.1\r\nX: a\rb\r\nContent-Length: 2\r\n\r\n",
        b"\r\n\r\nPOST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 2",
        b"POST / HTTP/1.1\r\nContent-Length: 2 \r\n\r\n",
        b"POST / HTTP/1.1\r\nX: " + b"a" * 5000 + b"\r\nContent-Length: 2\r\n\r\n",
    ],
)
def test_an_unusual_head_is_left_to_the_parser(head):
    assert learn(head, Request("POST", b"/", {b"content-length": b"2"})) is None


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60), st.integers(0, 60))
def test_bytes_that_match_are_framed_as_the_parser_frames_them(noise, place):
    import httptools

    head = HEADS[0]
    known = learn(head + b"{}", Request("POST", b"/", {b"content-length": b"2"}))
    place = min(place, len(head))
    data = head[:place] + noise + head[place:] + b"z" * 200
    found = known.match(data)
    if found is None:
        return
    bodies = []

    class Events:
        def on_body(self, body):
            bodies.append(body)

    httptools.HttpRequestParser(Events()).feed_data(data[: sum(found)])
    assert b"".join(bodies) == data[found[0] : sum(found)]


def test_a_gate_checks_a_known_token_anew():
    gate = Gate([hash_token("a" * 40, "main")])
    request = Request("POST", b"/", {b"authorization": b"Bearer " + b"a" * 40})
    request.token = gate.check(request, "predict")
    gate.check_again(request, "predict")
    gate.revoke("main")
    with pytest.raises(Exception, match="does not know"):
        gate.check_again(request, "predict")
