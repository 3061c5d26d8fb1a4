"""Whatever bytes come, the endpoint refuses them in words or answers: no crash, hang or 500.

A few hundred inputs here, thousands with `make test-full`, a million by `make soak`.
"""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings

from tests.unit.serving import models
from tests.unit.serving.fuzzing import (
    PIPELINED,
    PROPERTIES,
    RAW,
    Caller,
    check_pipelined,
    check_raw,
)
from tests.unit.serving.fuzzing_rpc import MESSAGES, RpcCaller
from tests.unit.serving.harness import running
from workbench.serving.service import Settings

CHECKS = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]
QUICK = settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=CHECKS)
LONG = settings(QUICK, max_examples=4000, derandomize=False, database=None)


@pytest.fixture(scope="module")
def found(digits_source, digits_file, square_file, pair_file, folder):
    echo = models.save_echo(folder / "echo.onnx")
    sources = (digits_source, digits_file, square_file, pair_file, echo)
    with running(*sources, settings=Settings(grpc_port=0)) as endpoint:
        yield endpoint
        assert endpoint.http.get("/v2/health/ready").json()["ready"]


@pytest.fixture(scope="module")
def caller(found):
    made = Caller(found.port, found.token)
    yield made
    made.close()


@pytest.fixture(scope="module")
def rpc(found):
    made = RpcCaller(found.service.grpc_port, found.token)
    yield made
    made.close()


def fuzz(name, caller, how):
    how(given(PROPERTIES[name])(caller.check))()


@pytest.mark.parametrize("name", PROPERTIES)
def test_every_body_is_answered_in_words(caller, name):
    fuzz(name, caller, QUICK)


def test_bytes_that_are_no_http_are_answered_or_ended(found):
    QUICK(given(RAW)(lambda data: check_raw(found.port, data)))()


def test_bytes_after_the_last_request_are_not_answered(found):
    QUICK(given(PIPELINED)(lambda sent: check_pipelined(found.port, sent)))()


def test_every_message_over_grpc_is_answered_in_words(rpc):
    QUICK(given(MESSAGES)(rpc.check))()


@pytest.mark.full
def test_many_messages_over_grpc_are_answered_in_words(rpc):
    LONG(given(MESSAGES)(rpc.check))()


@pytest.mark.full
@pytest.mark.parametrize("name", PROPERTIES)
def test_many_bodies_are_answered_in_words(caller, name):
    fuzz(name, caller, LONG)


@pytest.mark.full
def test_much_that_is_no_http_is_answered_or_ended(found):
    LONG(given(RAW)(lambda data: check_raw(found.port, data)))()
