"""Callers that are slow, half gone, gone or too many, beside others that are answered."""

from __future__ import annotations

import json
import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np

from tests.soak.steady import Broken, Steady, steady
from tests.unit.serving.harness import Running, raw_request, read_all, running, wait_for
from workbench.serving.batching import BatchLimits
from workbench.serving.limits import Limits
from workbench.serving.service import Settings

_MANY = 30
_BODY = json.dumps({"inputs": np.zeros((1, 1, 8, 8)).tolist()}).encode()
_QUICK = Limits(header_s=0.3, body_s=0.3, keep_alive_s=5.0, linger_s=0.3, half_closed_s=1.0)
_STEADY = 2


@contextmanager
def scene(file: Path, folder: Path) -> Iterator[dict[str, Callable[[], float]]]:
    """An endpoint of little patience, and others that ask it all the time."""
    with (
        running(file, settings=Settings(limits=_QUICK), log_folder=folder / "log") as found,
        steady(found.url, found.token, _STEADY) as others,
    ):
        head, _, _ = _request(found).partition(b"\r\n\r\n")
        yield {
            "heads that come byte by byte": lambda: _timed(
                found, others, lambda: _trickle(found, head[:20], head[20:])
            ),
            "bodies that come byte by byte": lambda: _timed(
                found, others, lambda: _trickle(found, head + b"\r\n\r\n", _BODY)
            ),
            "half-closed connections": lambda: _timed(found, others, lambda: _half_close(found)),
            "callers that vanish": lambda: _timed(found, others, lambda: _vanish(found)),
        }


@contextmanager
def crowded(file: Path, folder: Path) -> Iterator[dict[str, Callable[[], float]]]:
    """An endpoint whose queue is short."""
    with running(file, settings=Settings(batch=BatchLimits(queue=4))) as found:
        yield {"a full queue": lambda: _fill(found)}


def _request(found: Running) -> bytes:
    return raw_request("POST", "/predict/digits", token=found.token, body=_BODY)


def _timed(found: Running, others: Steady, fault: Callable[[], None]) -> float:
    began = time.monotonic()
    fault()
    others.go_on()
    _wait("a connection was left behind", lambda: len(found.service.server.connections) <= _STEADY)
    return time.monotonic() - began


def _trickle(found: Running, first: bytes, rest: bytes) -> None:
    """Sends one byte after the other on many connections, until each is told that it took long."""
    with ExitStack() as held:
        waiting = [held.enter_context(found.socket()) for _ in range(_MANY)]
        for connection in waiting:
            connection.sendall(first)
            connection.settimeout(0.001)
        for byte in rest:
            waiting = [one for one in waiting if not _is_given_up(one, bytes([byte]))]
            if not waiting:
                return
    raise Broken(f"{len(waiting)} of {_MANY} slow callers were waited for")


def _is_given_up(connection: socket.socket, byte: bytes) -> bool:
    """Sends a byte; returns whether the endpoint has given this caller up."""
    try:
        connection.sendall(byte)
        answer = connection.recv(4096)
    except TimeoutError:
        return False
    except OSError:  # reset: it was told before
        return True
    if answer and b" 408 " not in answer[:16]:
        raise Broken(f"a slow caller got {answer[:100]!r}")
    return True


def _half_close(found: Running) -> None:
    request = _request(found)
    with ExitStack() as held:
        whole = [held.enter_context(found.socket()) for _ in range(_MANY)]
        parts = [held.enter_context(found.socket()) for _ in range(_MANY)]
        for connection in whole:
            connection.sendall(request)
            connection.shutdown(socket.SHUT_WR)
        for connection in parts:
            connection.sendall(request[:-5])
            connection.shutdown(socket.SHUT_WR)
        for connection in whole:
            if b" 200 " not in (answer := read_all(connection))[:16]:
                raise Broken(f"a caller that closed its side got {answer[:100]!r}")
        for connection in parts:
            if answer := read_all(connection):
                raise Broken(f"half a request got {answer[:100]!r}")


def _vanish(found: Running) -> None:
    for _ in range(_MANY):
        connection = found.socket()
        connection.sendall(_request(found))
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()  # a reset


def _fill(found: Running) -> float:
    """Sends more at once than may queue: each is answered or told when to come back."""
    began = time.monotonic()
    request = _request(found)
    with ExitStack() as held:
        waiting = [held.enter_context(found.socket()) for _ in range(4 * _MANY)]
        for connection in waiting:
            connection.sendall(request * 4)
            connection.shutdown(socket.SHUT_WR)
        answers = b"".join(read_all(connection) for connection in waiting)
    good, refused = (answers.count(b"HTTP/1.1 %d " % status) for status in (200, 503))
    if good + refused != 16 * _MANY or refused != answers.count(b"retry-after: 1"):
        raise Broken(f"of {16 * _MANY} requests {good} were answered, {refused} told to come back")
    if not good:
        raise Broken("a full queue answered nobody")
    _wait("the queue stays full", lambda: not any(s.batcher.pending for s in found.service.router))
    if b" 200 " not in found.exchange(request, half_close=True)[:16]:
        raise Broken("after a full queue a request is refused")
    return time.monotonic() - began


def _wait(problem: str, condition: Callable[[], bool]) -> None:
    try:
        wait_for(condition)
    except TimeoutError:
        raise Broken(problem) from None
