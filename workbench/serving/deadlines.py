"""How long a caller waits: read from the request, and what happens when that time is over.

Sources: Triton's schedule policy extension of V2 (`parameters.timeout`, microseconds, 0 for none);
gRPC over HTTP/2 (`grpc-timeout`, at most eight digits and a unit); Envoy's router, which tells the
server how long it will wait itself (`x-envoy-expected-rq-timeout-ms`).
"""

from __future__ import annotations

import asyncio
import re
from time import perf_counter
from typing import Any

from workbench.serving.answer import Answer
from workbench.serving.batching import Job
from workbench.serving.errors import BadRequestError, DeadlineError
from workbench.serving.jsonbody import shown
from workbench.serving.messages import Request
from workbench.serving.problems import Problems

_OWN, _ENVOY = b"x-request-timeout-ms", b"x-envoy-expected-rq-timeout-ms"
_GRPC = b"grpc-timeout"
_GRPC_FORM = re.compile(rb"(\d{1,8})([HMSmun])")
_UNITS_S = {b"H": 3600.0, b"M": 60.0, b"S": 1.0, b"m": 1e-3, b"u": 1e-6, b"n": 1e-9}
_NUMBER = re.compile(rb"\d{1,12}(\.\d{1,6})?")


def read_headers(request: Request) -> float | None:
    """Returns the seconds that the caller waits, the shortest it told; None if it told none.

    Raises:
        BadRequestError: A header is no time.
    """
    headers = request.headers
    if _OWN not in headers and _GRPC not in headers and _ENVOY not in headers:
        return None
    found: float | None = None
    for name in (_OWN, _ENVOY):
        value = headers.get(name)
        if value is not None:
            if not _NUMBER.fullmatch(value) or not float(value):
                raise _no_time(name, value, "milliseconds as in 250")
            found = min(float(value) / 1e3, found or float("inf"))
    value = headers.get(_GRPC)
    if value is not None:
        form = _GRPC_FORM.fullmatch(value)
        if form is None:
            raise _no_time(_GRPC, value, "digits and a unit as in 250m")
        found = min(int(form[1]) * _UNITS_S[form[2]], found or float("inf"))
    return found


def read_parameter(parameters: Any, problems: Problems) -> float | None:
    """Returns the seconds that a V2 request's parameters allow; None without or with 0."""
    timeout = parameters.get("timeout") if isinstance(parameters, dict) else None
    if timeout is None:
        return None
    if isinstance(timeout, bool) or not isinstance(timeout, int) or timeout < 0:
        problems.add(f"timeout: got {shown(timeout)}; whole microseconds would be right")
        return None
    return timeout / 1e6 or None


def limit(answer: Answer, seconds: float) -> None:
    """Answers 504 when `seconds` have passed since the request arrived, unless it is answered.

    Work for it that has not begun by then is not done. The shortest of several limits holds.
    """
    at = answer.arrived + seconds
    if answer.deadline is not None and answer.deadline <= at:
        return
    if answer.timer is not None:
        answer.timer.cancel()
    answer.deadline = at
    _wake(answer, at)


def _wake(answer: Answer, at: float) -> None:
    """Looks again at `at`, in `perf_counter` seconds: a loop's own clock may count milliseconds."""
    left = max(0.0, at - perf_counter())
    answer.timer = asyncio.get_running_loop().call_later(left, _expire_at, answer, at)


def pass_on(answer: Answer, job: Job) -> None:
    """Tells the model's thread when a job is no longer wanted."""
    job.deadline = answer.deadline


def expire(answer: Answer) -> None:
    """Answers 504, unless it is answered, and leaves undone what is not begun.

    An answer that comes in pieces and has begun ends with the error.
    """
    if answer.is_done or (answer.is_started and answer.cut is None):
        return
    waited_ms = round(1e3 * (perf_counter() - answer.arrived), 3)
    allowed_ms = 1e3 * ((answer.deadline or answer.arrived) - answer.arrived)
    error = DeadlineError(
        f"The request had {allowed_ms:.0f} ms and was not answered: {_stage(answer)} when they "
        "were over.",
        hint="Allow more time, or send fewer requests at once.",
        context={"deadline_ms": allowed_ms, "waited_ms": waited_ms},
    )
    if answer.is_started and answer.cut is not None:
        answer.cut(error)
        return
    answer.fail(error)
    answer.give_up()


def _expire_at(answer: Answer, at: float) -> None:
    if perf_counter() < at and not answer.is_done:
        _wake(answer, at)
    else:
        expire(answer)


def _stage(answer: Answer) -> str:
    job = answer.job
    if answer.pieces:
        return f"only {answer.pieces} of its pieces were"
    if answer.cut is not None:
        return "the model was making its first piece"
    if job is None:
        return "its body was being decoded"
    return "it waited for the model" if job.started == job.queued else "the model was running"


def _no_time(name: bytes, value: bytes, right: str) -> BadRequestError:
    return BadRequestError(
        f"{name.decode()}: got {value.decode('latin-1')[:30]!r}; {right} would be right."
    )
