import json
import re
import socket
import struct

import pytest

from tests.unit.serving.harness import raw_request, read_all, running, wait_for
from workbench.serving.limits import Limits
from workbench.serving.service import Settings

_MOST = 50_000_000
SQUARE = json.dumps({"inputs": [1, 2, 3]}).encode()


@pytest.fixture(scope="module")
def strict(square_file):
    """An endpoint with small limits."""
    limits = Limits(
        body_bytes=2000, head_bytes=4000, header_s=0.2, body_s=0.2, keep_alive_s=0.5, linger_s=0.3
    )
    with running(square_file, settings=Settings(limits=limits)) as found:
        yield found


def statuses(data: bytes) -> list[int]:
    return [int(code) for code in re.findall(rb"HTTP/1\.1 (\d{3}) ", data)]


def predict(found, **options):
    return raw_request("POST", "/predict/square", token=found.token, body=SQUARE, **options)


def test_pipelined_requests_are_answered_in_their_order(endpoint):
    bodies = [json.dumps({"inputs": [i, 0, 0]}).encode() for i in range(40)]
    mixed = b""
    for i, body in enumerate(bodies):
        mixed += raw_request("POST", "/predict/square", token=endpoint.token, body=body)
        if i % 4 == 0:  # answered at once, or by the ASGI app: they must wait for their turn
            mixed += raw_request("GET", "/v2/health/live") + raw_request("GET", "/")
    answer = endpoint.exchange(mixed, half_close=True)
    parts = answer.split(b"HTTP/1.1 ")[1:]
    found = [json.loads(part.partition(b"\r\n\r\n")[2]) for part in parts]
    squares = [item["predictions"][0]["scores"]["0"] for item in found if "predictions" in item]
    assert squares == [i * i for i in range(40)]
    assert len(found) == 60
    assert "live" in found[1]
    assert "service" in found[2]


def test_a_connection_is_kept_and_closed_when_asked(endpoint):
    with endpoint.socket() as connection:
        connection.sendall(predict(endpoint))
        assert b"200 OK" in connection.recv(65536)
        connection.sendall(predict(endpoint, headers=["Connection: close"]))
        answer = read_all(connection)
    assert b"connection: close" in answer
    old = predict(endpoint, headers=["Connection: keep-alive"])
    assert statuses(endpoint.exchange(old.replace(b"HTTP/1.1", b"HTTP/1.0"))) == [200]


def test_a_request_may_come_byte_by_byte_and_in_chunks(endpoint):
    head = raw_request(
        "POST", "/predict/square", token=endpoint.token, headers=["Transfer-Encoding: chunked"]
    )
    chunks = b"5\r\n" + SQUARE[:5] + b"\r\n%x\r\n" % len(SQUARE[5:]) + SQUARE[5:] + b"\r\n0\r\n\r\n"
    with endpoint.socket() as connection:
        for byte in head + chunks:
            connection.sendall(bytes([byte]))
        assert b"200 OK" in connection.recv(65536)


def test_a_caller_that_asks_first_may_go_on_or_is_refused(endpoint, strict):
    with endpoint.socket() as connection:
        head, _, body = predict(endpoint, headers=["Expect: 100-continue"]).partition(b"\r\n\r\n")
        connection.sendall(head + b"\r\n\r\n")
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(body)
        assert b"200 OK" in connection.recv(65536)
    head = predict(endpoint, headers=["Expect: 100-continue"]).partition(b"\r\n\r\n")[0]
    stranger = head.replace(endpoint.token.encode(), b"wrong-token-wrong-token")
    assert statuses(endpoint.exchange(stranger + b"\r\n\r\n")) == [403]


def test_a_body_beyond_the_limit_is_refused_before_it_is_read(strict):
    announced = raw_request(
        "POST", "/predict", token=strict.token, headers=["Content-Length: 999999999999"]
    )
    assert statuses(strict.exchange(announced)) == [413]
    head = raw_request(
        "POST", "/predict", token=strict.token, headers=["Transfer-Encoding: chunked"]
    )
    answer = strict.exchange(head + b"fff\r\n" + b"x" * 4095 + b"\r\n")
    assert statuses(answer) == [413]
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["context"]["limit_bytes"] == 2000


def test_a_small_refused_body_leaves_the_connection_usable(endpoint):
    wrong = predict(endpoint).replace(endpoint.token.encode(), b"x" * 20)
    with endpoint.socket() as connection:
        connection.sendall(wrong + predict(endpoint))
        connection.shutdown(socket.SHUT_WR)
        assert statuses(read_all(connection)) == [403, 200]


@pytest.mark.parametrize(
    "data",
    [
        b"\x00\x01\x02\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nbad header\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
        b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 3\r\n"
        b"Transfer-Encoding: chunked\r\n\r\nabc",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # TLS
    ],
)
def test_what_is_not_http_is_answered_by_400_and_the_end(endpoint, data):
    answer = endpoint.exchange(data, half_close=True)
    assert statuses(answer) == [400], answer
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["code"] == "bad_request"


def test_a_chunk_without_a_size_is_answered_by_400_and_the_end(endpoint):
    chunked = ["Transfer-Encoding: chunked"]
    head = raw_request("POST", "/predict/square", token=endpoint.token, headers=chunked)
    assert statuses(endpoint.exchange(head + b"zz\r\n", half_close=True)) == [400]


def test_a_head_beyond_the_limit_is_refused(strict):
    data = raw_request("GET", "/", headers=[f"X-{i}: {'y' * 90}" for i in range(60)])
    assert statuses(strict.exchange(data)) == [431]


@pytest.mark.parametrize("part", [b"GET / HT", b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\n"])
def test_a_head_that_does_not_end_is_given_up(strict, part):
    assert statuses(strict.exchange(part)) == [408]


def test_a_body_that_does_not_end_is_given_up(strict):
    data = predict(strict)[:-4]
    assert statuses(strict.exchange(data)) == [408]


def test_an_idle_connection_is_closed_without_a_word(strict):
    assert strict.exchange(b"") == b""


def test_a_caller_that_closed_its_side_still_gets_its_answer(endpoint):
    assert statuses(endpoint.exchange(predict(endpoint), half_close=True)) == [200]
    assert endpoint.exchange(predict(endpoint)[:-5], half_close=True) == b""
    assert endpoint.exchange(b"", half_close=True) == b""


def test_a_caller_that_vanishes_leaves_nothing_behind(endpoint):
    for _ in range(5):
        connection = endpoint.socket()
        connection.sendall(predict(endpoint))
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()  # a reset, not an orderly end
    server = endpoint.service.server
    keeps = 1  # the connection of the test's own client may stay
    wait_for(lambda: len(server.connections) <= keeps)
    wait_for(lambda: all(served.batcher.pending == 0 for served in endpoint.service.router))


def test_head_tells_the_length_but_sends_no_body(endpoint):
    answer = endpoint.exchange(raw_request("HEAD", "/v2/health/live"), half_close=True)
    assert b"content-length: 13" in answer
    assert answer.endswith(b"\r\n\r\n")


def test_an_upgrade_is_not_taken_but_the_request_is_answered(endpoint):
    data = raw_request("GET", "/v2/health/live", headers=["Connection: Upgrade", "Upgrade: h2c"])
    assert statuses(endpoint.exchange(data)) == [200]


def test_another_method_says_which_would_be_right(endpoint):
    answer = endpoint.http.put("/predict/square")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, POST"
    assert endpoint.http.delete("/metrics").status_code == 405


def test_too_many_connections_are_told_to_come_back(square_file):
    with running(
        square_file, settings=Settings(limits=Limits(connections=2, connections_a_token=2))
    ) as found:
        first, second = found.socket(), found.socket()
        with first, second:
            for connection in (first, second):
                connection.sendall(predict(found))
                assert b"200 OK" in connection.recv(65536)
            answer = found.exchange(b"")
        assert statuses(answer) == [503]
        assert b"retry-after: 1" in answer


def test_a_caller_that_does_not_read_is_not_read_either(endpoint):
    """Its answers wait in its own connection; others go on."""
    with endpoint.socket() as connection:
        connection.setblocking(False)
        sent = 0
        request = raw_request("GET", "/metrics", token=endpoint.token) * 50
        try:
            while sent < _MOST:
                sent += connection.send(request)
        except BlockingIOError:
            pass
        assert endpoint.http.get("/v2/health/live", timeout=60).status_code == 200
    assert sent < _MOST
