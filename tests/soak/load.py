"""Good predictions over kept connections while an alias is moved again and again.

The endpoint is the real process, with token check, limits, metrics and request log on; half of the
connections send JSON, half binary tensors. Its memory is looked at as it goes.
"""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from tests.soak.saying import say
from tests.unit.serving import models
from tests.unit.serving.harness import raw_request, wait_for
from workbench.flow.endpoint import Endpoint, serve
from workbench.store import Store, open_store

MOST_GROWTH_MB = 5.0
_CONNECTIONS = 16
_WARM = 0.1
_NAME = "digits"
_SHIFTS = {"1": 0.0, "2": 100.0}
_LIMITS = {"rate": 1e9, "body_bytes": 100_000, "values": 10_000}


@dataclass
class Watch:
    """Memory and swaps of one endpoint as they were seen.

    Attributes:
        rss_mb: Resident memory, by the share of the requests done.
        swaps: Begin and end of each, `time.monotonic`.
    """

    rss_mb: dict[float, float] = field(default_factory=dict)
    swaps: list[tuple[float, float]] = field(default_factory=list)

    def growth_mb(self) -> float:
        """Returns how much memory grew from after the warm-up to the end."""
        return self.rss_mb[1.0] - self.rss_mb[_WARM]

    def slowest_in_swaps(self, slowest: list[list[float]]) -> tuple[float, float]:
        """Returns the longest wait of those that overlapped a swap, and of the others."""
        inside, outside = 0.0, 0.0
        for seconds, end in slowest:
            if any(begin < end and end - seconds < done for begin, done in self.swaps):
                inside = max(inside, seconds)
            else:
                outside = max(outside, seconds)
        return inside, outside


def run(folder: Path, requests: int, swaps: int) -> bool:
    """Calls and swaps; says what it sees; returns whether no request failed and memory is flat."""
    sample = models.digits()[1][0].reshape(1, 1, 8, 8).astype(np.float32)
    store = open_store(folder / ".workbench")
    for shift in _SHIFTS.values():
        path = models.save_digits(folder / f"{shift:.0f}.onnx", shift=shift)
        models.register(store, _NAME, path)
    store.models.promote(_NAME, 1)
    endpoint = serve(store, f"model:{_NAME}@champion")
    watch = Watch()
    watch.rss_mb[0.0] = _rss_mb(endpoint)
    say(f"{requests:,} requests, {swaps} swaps; memory at the start {watch.rss_mb[0.0]:.1f} MB")
    try:
        token = endpoint.add_token("load", **_LIMITS).text
        with _callers(endpoint, token, sample, requests // swaps) as callers:
            _drive(store, endpoint, callers, watch, (requests, swaps))
            found = _end(callers)
        watch.rss_mb[1.0] = _rss_mb(endpoint)
        is_ready = endpoint.client.is_ready()
    finally:
        endpoint.stop()
    return _verdict(found, watch, is_ready)


def _verdict(found: dict[str, Any], watch: Watch, is_ready: bool) -> bool:
    inside, outside = watch.slowest_in_swaps(found["slowest"])
    swap_s = sorted(end - begin for begin, end in watch.swaps)
    is_flat = watch.growth_mb() <= MOST_GROWTH_MB
    say(
        f"{found['done']:,} requests, {found['error_count']} errors, {len(swap_s)} swaps, "
        f"the slowest seen at the endpoint after {swap_s[-1]:.2f} s"
    )
    for error in found["errors"]:
        say(f"  {error}")
    say(
        f"waits: p50 {1e3 * found['p50_s']:.1f} ms, p99 {1e3 * found['p99_s']:.1f} ms; "
        f"longest {1e3 * inside:.0f} ms beside a swap, {1e3 * outside:.0f} ms otherwise"
    )
    say(
        f"memory: {watch.rss_mb[0.0]:.1f} MB at the start, {watch.rss_mb[_WARM]:.1f} after the "
        f"warm-up, {watch.rss_mb[1.0]:.1f} at the end: {watch.growth_mb():+.1f} MB, "
        f"{'flat' if is_flat else 'NOT flat'} (at most {MOST_GROWTH_MB:g})"
    )
    return is_flat and is_ready and not found["error_count"]


def _drive(
    store: Store,
    endpoint: Endpoint,
    callers: subprocess.Popen[str],
    watch: Watch,
    size: tuple[int, int],
) -> None:
    """Moves the alias once for each part of the requests, and waits until it is followed."""
    requests, swaps = size
    for number in range(1, swaps + 1):
        done = json.loads(_line(callers))["done"]
        share = round(10 * number / swaps) / 10
        if share not in watch.rss_mb and number >= share * swaps:
            watch.rss_mb[share] = _rss_mb(endpoint)
            say(f"{done:,} of {requests:,}, {number} swaps: {watch.rss_mb[share]:.1f} MB")
        wanted = "12"[number % 2]
        began = time.monotonic()
        store.models.promote(_NAME, int(wanted))
        wait_for(lambda wanted=wanted: _version(endpoint) == wanted, 60)
        watch.swaps.append((began, time.monotonic()))
    watch.rss_mb.setdefault(_WARM, watch.rss_mb[0.0])


def _version(endpoint: Endpoint) -> str:
    return str(endpoint.client.health()["following"][0]["version"])


def _rss_mb(endpoint: Endpoint) -> float:
    pages = int(Path(f"/proc/{endpoint.info.pid}/statm").read_text().split()[1])
    return pages * 4096 / 1e6


@contextmanager
def _callers(endpoint: Endpoint, token: str, sample: np.ndarray, step: int):
    weights, bias = models.digits_weights()
    logits = (sample.reshape(64) @ (weights / 16) + bias).tolist()
    place = urlsplit(endpoint.url)
    order = {
        "host": place.hostname,
        "port": place.port,
        "connections": _CONNECTIONS,
        "step": step,
        "requests": [
            base64.b64encode(make(token, sample)).decode() for make in (_in_json, _in_binary)
        ],
        "expected": {number: [logits[0] + s, *logits[1:]] for number, s in _SHIFTS.items()},
    }
    command = [sys.executable, "-m", "tests.soak.caller"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            _tell(process, json.dumps(order))
            yield process
        finally:
            process.kill()


def _end(callers: subprocess.Popen[str]) -> dict[str, Any]:
    _tell(callers, "end")
    while "slowest" not in (found := json.loads(_line(callers))):
        pass
    return dict(found)


def _tell(process: subprocess.Popen[str], line: str) -> None:
    if process.stdin is not None:
        process.stdin.write(f"{line}\n")
        process.stdin.flush()


def _line(process: subprocess.Popen[str]) -> str:
    line = "" if process.stdout is None else process.stdout.readline()
    if not line:
        raise SystemExit("the callers ended: see above")
    return line


def _in_json(token: str, sample: np.ndarray) -> bytes:
    tensor = {"name": "input", "shape": list(sample.shape), "datatype": "FP32"}
    body = json.dumps({"inputs": [{**tensor, "data": sample.ravel().tolist()}]}).encode()
    return _request(token, body, "Content-Type: application/json")


def _in_binary(token: str, sample: np.ndarray) -> bytes:
    blob = sample.tobytes()
    tensor = {"name": "input", "shape": list(sample.shape), "datatype": "FP32"}
    tensor["parameters"] = {"binary_data_size": len(blob)}
    asked = {"inputs": [tensor], "parameters": {"binary_data_output": True}}
    head = json.dumps(asked).encode()
    return _request(token, head + blob, f"Inference-Header-Content-Length: {len(head)}")


def _request(token: str, body: bytes, header: str) -> bytes:
    path = f"/v2/models/{_NAME}/infer"
    return raw_request("POST", path, token=token, body=body, headers=[header])
