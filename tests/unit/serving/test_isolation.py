"""What one connection, job or callback does wrong reaches no other."""

import asyncio
import re
import socket

import numpy as np
import pytest

from tests.unit.serving.harness import raw_request, read_all, running, wait_for
from workbench.core.errors import InputError
from workbench.serving.batching import Batcher
from workbench.serving.isolation import each, together
from workbench.serving.limits import Limits
from workbench.serving.outbox import Outbox
from workbench.serving.places import Places
from workbench.serving.service import Settings

POISON = raw_request("GET", "/v2/health/live", headers=["Connection: close"]) + b"x"
CLOSE = "Connection: close"


def statuses(data: bytes) -> list[int]:
    return [int(code) for code in re.findall(rb"HTTP/1\.1 (\d{3}) ", data)]


def test_bytes_after_the_last_request_leave_the_answers_of_others_alone(endpoint):
    """All in one turn of the loop, as they come when many callers are busy."""
    request = raw_request("GET", "/v2/health/live")
    bad = [endpoint.socket() for _ in range(8)]
    good = [endpoint.socket() for _ in range(32)]

    async def at_once():
        for one in bad:
            one.sendall(POISON)
        for one in good:
            one.sendall(request)

    endpoint.call(at_once())  # the loop itself sends: it reads all of them in its next turn
    for one in good:
        assert b"200 OK" in one.recv(65536)
        one.close()
    assert [statuses(read_all(one)) for one in bad] == [[200]] * 8
    for one in bad:
        one.close()


@pytest.mark.parametrize(
    "data",
    [
        POISON,
        raw_request("GET", "/v2/health/live", headers=[CLOSE]) * 3,
        raw_request("GET", "/v2/health/live").replace(b"1.1", b"1.0") * 2,
        raw_request("GET", "/v2/health/live", headers=["Connection: keep-alive"]).replace(
            b"1.1", b"1.0"
        )
        * 3,
        raw_request("GET", "/v2/health/live", headers=["Connection: Upgrade", "Upgrade: h2c"])
        + b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        raw_request("GET", "/v2/health/live", headers=[CLOSE])
        + raw_request("POST", "/predict", body=b"{}", headers=["Expect: 100-continue"]),
        raw_request("GET", "/v2/health/live", headers=[CLOSE]) + b"\x00" * 100_000,
    ],
)
@pytest.mark.parametrize("half_close", [False, True])
def test_nothing_is_read_or_written_after_the_last_request(endpoint, data, half_close):
    assert statuses(endpoint.exchange(data, half_close=half_close)) == [200]


def test_nothing_is_read_after_a_refused_request(endpoint):
    wrong = b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"
    assert statuses(endpoint.exchange(wrong + raw_request("GET", "/v2/health/live") * 3)) == [400]


def test_what_comes_later_on_an_ended_connection_is_not_read(endpoint):
    before = endpoint.service.metrics.other.copy()
    with endpoint.socket() as connection:
        connection.sendall(POISON)
        assert b"200 OK" in connection.recv(65536)
        for _ in range(3):
            connection.sendall(raw_request("GET", "/v2/health/live"))
        assert connection.recv(65536) == b""
    counted = {k: n - before.get(k, 0) for k, n in endpoint.service.metrics.other.items()}
    assert {key: n for key, n in counted.items() if n} == {("v2", 200): 1}


class Writer:
    def __init__(self, fails=False):
        self.fails, self.is_written, self.is_aborted = fails, False, False

    def write_out(self):
        if self.fails:
            raise RuntimeError("Cannot call write() after write_eof()")
        self.is_written = True

    def abort(self):
        self.is_aborted = True
        if self.fails == "twice":
            raise OSError("gone")


def test_a_connection_that_cannot_be_written_is_ended_and_the_others_are_written(caplog):
    writers = [Writer(), Writer(fails=True), Writer(), Writer(fails="twice"), Writer()]

    async def turn():
        outbox = Outbox()
        for writer in writers:
            outbox.add(writer)
        await asyncio.sleep(0)

    asyncio.run(turn())
    assert [writer.is_written for writer in writers] == [True, False, True, False, True]
    assert [writer.is_aborted for writer in writers] == [False, True, False, True, False]
    assert "Writer failed" in caplog.text


def test_each_and_together_go_on_after_a_failure():
    done = []

    def work(item):
        if item == 1:
            raise ValueError(item)
        done.append(item)

    async def answer(item):
        if item == 1:
            raise InputError("no")
        return item

    async def all_of():
        return await together(answer(item) for item in range(3))

    each(range(3), work)
    assert done == [0, 2]
    assert asyncio.run(all_of()) == [0, None, 2]


class Model:
    signature = None

    def predict(self, inputs):
        return dict(inputs)

    def close(self):
        pass


def test_a_callback_of_one_job_that_fails_leaves_the_other_jobs_answered():
    """As when a shadow's comparison, a log or a metric fails in the callback."""
    told = []

    def failing(job):
        raise ZeroDivisionError("a defect")

    async def ask():
        batcher = Batcher(
            Model(), can_batch=True, is_fixed=True, check=lambda inputs: None, on_batch=failing
        )
        batcher.start("m")
        inputs = {"x": np.ones((1, 2), np.float32)}
        for index in range(6):
            batcher.submit(inputs, 1, failing if index % 2 else lambda job: told.append(job.rows))
        await batcher.close()

    asyncio.run(ask())
    assert told == [1, 1, 1]


def test_a_failing_count_or_sweep_stops_neither_answers_nor_the_sweeper(square_file, monkeypatch):
    with running(square_file) as found:
        server = found.service.server

        def defect(*_):
            raise ZeroDivisionError("a defect")

        monkeypatch.setattr(server._metrics, "count_other", defect)
        assert found.http.get("/v2/health/live").status_code == 200
        with found.socket() as other:
            wait_for(lambda: len(server.connections) == 2)
            victim = next(iter(server.connections))
            monkeypatch.setattr(type(victim), "sweep", defect)
            swept = server._sweeper
            wait_for(lambda: not len(server.connections))  # who cannot be looked at is ended
            assert other.recv(10) == b""
        wait_for(lambda: server._sweeper is not swept)
        monkeypatch.undo()
        assert found.http.get("/v2/health/live").status_code == 200


def test_a_caller_that_never_reads_is_let_go(square_file, monkeypatch):
    came, take = [], Places.take
    monkeypatch.setattr(Places, "take", lambda self, one: came.append(one) or take(self, one))
    limits = Limits(body_s=0.5, keep_alive_s=0.5, linger_s=0.2)
    request = raw_request("GET", "/openapi.json")
    with (
        running(square_file, settings=Settings(limits=limits)) as found,
        socket.socket() as one,
    ):
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        one.connect(("127.0.0.1", found.port))
        one.sendall(request * 60)
        wait_for(lambda: came and not len(found.service.server.connections))
