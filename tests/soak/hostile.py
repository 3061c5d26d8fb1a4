"""Costly bodies of 64 MB, one by one and all at once: health is told within 100 ms beside them."""

from __future__ import annotations

import json
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
    bodies = {name: make(int(many * _MILLION)) for name, (make, many) in BODIES.items()}
    alone = [_send(ready, {name: sent}, name) for name, sent in bodies.items()]
    return max(*alone, _send(ready, bodies, "all at once"))


def _send(ready: dict[str, str], bodies: dict[str, Sent], name: str) -> float:
    port = _port(ready["url"])
    with Pulse(port) as pulse:
        statuses = send_all(port, ready["token"], bodies, _WAIT_S)
    return _told(name, str(sorted(set(statuses.values()))), pulse)


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
