"""Costly bodies of 64 MB, one by one and all at once: health is told within 100 ms beside them."""

from __future__ import annotations

import json
from concurrent.futures import Executor, ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from tests.soak.saying import say
from tests.unit.serving import models
from tests.unit.serving.fuzzing_rpc import code_of
from tests.unit.serving.hostile import BODIES, RPC_BODIES, Pulse, Sent, send_all
from tests.unit.serving.workers import start

BOUND_S = 0.1
_WAIT_S = 300.0
_MILLION = 1_000_000


def run(folder: Path) -> bool:
    """Sends the bodies and says what others waited; returns whether that was within the bound."""
    file = models.save_square(folder / "square.onnx")
    with start(file, "--name", "square", "--json", "--grpc-port", 0) as process:
        try:
            ready = json.loads(process.stdout.readline())
            longest_s = max(_over_http(ready), _over_grpc(ready))
            is_alive = process.poll() is None
        finally:
            process.terminate()
    say(f"the longest wait: {1e3 * longest_s:.0f} ms, stated: {1e3 * BOUND_S:.0f} ms")
    return is_alive and longest_s <= BOUND_S


def _over_http(ready: dict[str, str]) -> float:
    """Sends from another process, or the one that asks for health would wait for itself."""
    with ProcessPoolExecutor(1, get_context("spawn")) as sender:
        sender.submit(_make).result()
        alone = [_send(sender, ready, [name], name) for name in BODIES]
        return max(*alone, _send(sender, ready, list(BODIES), "all at once"))


def _send(sender: Executor, ready: dict[str, str], names: list[str], what: str) -> float:
    port = _port(ready["url"])
    with Pulse(port) as pulse:
        statuses = sender.submit(_sent, port, ready["token"], names).result()
    return _told(what, str(sorted(set(statuses.values()))), pulse)


_made: dict[str, Sent] = {}


def _make() -> None:
    _made.update({name: make(int(many * _MILLION)) for name, (make, many) in BODIES.items()})


def _sent(port: int, token: str, names: list[str]) -> dict[str, int]:
    return send_all(port, token, {name: _made[name] for name in names}, _WAIT_S)


def _over_grpc(ready: dict[str, str]) -> float:
    found = []
    for name, (make, many) in RPC_BODIES.items():
        message = make(int(many * _MILLION))
        with Pulse(_port(ready["url"])) as pulse:
            code = code_of(_port(ready["grpc"]), ready["token"], message, timeout_s=_WAIT_S)
        found.append(_told(name, code, pulse))
    return max(found)


def _told(name: str, answer: str, pulse: Pulse) -> float:
    say(
        f"{name}: {answer}; {pulse.count} health checks, the slowest {1e3 * pulse.longest_s:.0f} ms"
    )
    return pulse.longest_s


def _port(address: str) -> int:
    return int(address.rpartition(":")[2])
