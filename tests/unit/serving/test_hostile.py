"""Bodies that cost much: each is refused in words, and nobody else waits for it.

The time stated for a health check beside them is 100 ms, which `make soak` shows; here it is ten
times that.
"""

from __future__ import annotations

import json

import pytest

from tests.unit.serving.fuzzing_rpc import code_of
from tests.unit.serving.harness import running
from tests.unit.serving.hostile import BODIES, RPC_BODIES, Pulse, send_all
from tests.unit.serving.workers import start
from workbench.serving.limits import INLINE_BYTES
from workbench.serving.service import Settings

BOUND_S = 10 * 0.1
FEW = 30_000
MILLION = 1_000_000


@pytest.fixture(scope="module")
def found(square_file):
    with running(square_file, settings=Settings(grpc_port=0)) as endpoint:
        yield endpoint


@pytest.mark.parametrize("name", BODIES)
def test_a_costly_body_is_refused_in_words(found, name):
    make, _ = BODIES[name]
    sent = make(FEW)
    assert len(sent.body) > 50_000
    answer = found.http.post(sent.path, content=sent.body, headers=sent.headers, timeout=60)
    assert 400 <= answer.status_code < 500, answer.text[:500]
    assert len(answer.content) < 10_000
    assert len(answer.json()["problems"]) <= 21


@pytest.mark.parametrize("name", RPC_BODIES)
def test_a_costly_message_is_refused_in_words(found, name):
    make, _ = RPC_BODIES[name]
    for most in (10, FEW, 2 * INLINE_BYTES):
        code = code_of(found.service.grpc_port, found.token, make(most))
        assert code in ("INVALID_ARGUMENT", "RESOURCE_EXHAUSTED"), code


def test_health_is_told_while_ten_costly_bodies_are_read(found):
    bodies = {name: make(FEW) for name, (make, _) in BODIES.items()}
    with Pulse(found.port) as pulse:
        statuses = send_all(found.port, found.token, bodies, 60)
    assert all(400 <= status < 500 for status in statuses.values()), statuses
    assert pulse.longest_s < BOUND_S
    assert pulse.count


@pytest.mark.full
def test_health_is_told_while_ten_bodies_of_64_megabytes_are_read(square_file):
    process = start(square_file, "--name", "square", "--json", "--grpc-port", 0)
    try:
        ready = json.loads(process.stdout.readline())
        port, token = int(ready["url"].rpartition(":")[2]), ready["token"]
        grpc_port = int(ready["grpc"].rpartition(":")[2])
        bodies = {n: make(int(many * MILLION)) for n, (make, many) in BODIES.items()}
        with Pulse(port) as pulse:
            statuses = send_all(port, token, bodies, 300)
        assert all(400 <= status < 500 for status in statuses.values()), statuses
        assert pulse.longest_s < BOUND_S
        assert pulse.count > 50
        for name, (make, many) in RPC_BODIES.items():
            message = make(int(many * MILLION))
            with Pulse(port) as pulse:
                code = code_of(grpc_port, token, message, timeout_s=120)
            assert code in ("INVALID_ARGUMENT", "RESOURCE_EXHAUSTED"), (name, code)
            assert pulse.longest_s < BOUND_S, name
        assert process.poll() is None
    finally:
        process.terminate()
        process.wait(30)
        process.stdout.close()
        process.stderr.close()
