"""Connections spread over server processes, as callers see it."""

import asyncio
import socket
import socketserver
import threading
from contextlib import ExitStack, contextmanager

import httpx
import numpy as np
import pytest

from tests.unit.serving.harness import read_all, running, wait_for
from workbench.serving.event_loop import new_loop
from workbench.serving.spreading import Spreader


class Named(socketserver.StreamRequestHandler):
    """Answers each line with the server's name; ends at the end of what it is sent."""

    def handle(self):
        for line in self.rfile:
            self.wfile.write(self.server.name + b":" + line)


@contextmanager
def named(name):
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Named) as server:
        server.name, server.daemon_threads = name, True
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


class Front:
    """A spreader on a loop of its own."""

    def __init__(self):
        self.loop = new_loop()
        self._thread = threading.Thread(target=self.loop.run_forever)
        self._thread.start()
        self.spreader = Spreader()
        self.port = self.call(self.spreader.start("127.0.0.1", 0))

    def call(self, work):
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(20)

    def put(self, key, port):
        self.loop.call_soon_threadsafe(self.spreader.put, key, "127.0.0.1", port)

    def remove(self, key):
        self.loop.call_soon_threadsafe(self.spreader.remove, key)

    def open(self):
        return socket.create_connection(("127.0.0.1", self.port), timeout=10)

    def ask(self, connection, text=b"x"):
        connection.sendall(text + b"\n")
        return connection.recv(1000)

    def close(self):
        self.call(self.spreader.stop(0.1))
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


@pytest.fixture
def front():
    made = Front()
    yield made
    made.close()


def closed_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_connections_go_to_the_least_busy_and_stay_there(front):
    with ExitStack() as held:
        for key, name in enumerate((b"a", b"b")):
            front.put(key, held.enter_context(named(name)))
        four = [held.enter_context(front.open()) for _ in range(4)]
        names = [front.ask(connection)[:1] for connection in four]
        assert sorted(names) == [b"a", b"a", b"b", b"b"]
        assert [front.ask(connection)[:1] for connection in four] == names
        for connection, name in zip(four, names, strict=True):
            if name == b"a":
                connection.close()
        wait_for(lambda: len(front.spreader._callers) == 2)
        with front.open() as fifth, front.open() as sixth:
            assert (front.ask(fifth), front.ask(sixth)) == (b"a:x\n", b"a:x\n")


def test_one_that_takes_no_connection_is_passed_over(front):
    with named(b"a") as port:
        front.put(0, closed_port())
        front.put(1, port)
        for _ in range(4):
            with front.open() as connection:
                assert front.ask(connection) == b"a:x\n"


def test_one_that_is_removed_keeps_what_it_has(front):
    with named(b"a") as first, named(b"b") as second:
        front.put(0, first)
        with front.open() as connection:
            assert front.ask(connection) == b"a:x\n"
            front.put(1, second)
            front.remove(0)
            with front.open() as other:
                assert front.ask(other) == b"b:x\n"
            assert front.ask(connection) == b"a:x\n"


def test_a_caller_that_has_said_all_still_gets_its_answer(front):
    with named(b"a") as port:
        front.put(0, port)
        with front.open() as connection:
            connection.sendall(b"one\ntwo\n")
            connection.shutdown(socket.SHUT_WR)
            assert read_all(connection) == b"a:one\na:two\n"


def test_without_any_the_caller_is_told_when_to_come_back(front):
    answer = httpx.post(
        f"http://127.0.0.1:{front.port}/predict", content=b"x" * 100_000, trust_env=False
    )
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert answer.json()["code"] == "overloaded"


def test_an_endpoint_behind_it_answers_large_requests_and_ends_well(front, digits_file):
    with running(digits_file) as found:
        front.put(0, found.port)
        headers = {"authorization": f"Bearer {found.token}"}
        url = f"http://127.0.0.1:{front.port}"
        with httpx.Client(base_url=url, headers=headers, trust_env=False) as http:
            rows = np.random.default_rng(0).random((3000, 1, 8, 8)).tolist()
            near = found.http.post("/predict", json={"inputs": rows})
            far = http.post("/predict", json={"inputs": rows})
            assert far.status_code == 200
            assert far.json()["predictions"] == near.json()["predictions"]
        assert front.call(front.spreader.stop(5)) is True
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{url}/v2/health/live", trust_env=False)
