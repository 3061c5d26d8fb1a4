"""The endpoint under load from another process, beside ONNX Runtime alone in this one."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from tests.benchmarks.figure import Figure
from tests.benchmarks.ready import trained_cnn
from workbench.runtime.session import open_session

_GENERATOR = Path(__file__).with_name("load_generator.py")
_SECONDS = 2.5
_NAME = "digits"


def figures(folder: Path) -> Iterator[Figure]:
    """Yields the figures."""
    space, data, run = trained_cnn(folder)
    export = space.export(run)
    alone = _alone(export.path, data)
    yield Figure("ONNX Runtime alone, in process", alone, "calls/s")
    began = time.perf_counter()
    endpoint = space.serve(run, name=_NAME)
    try:
        yield Figure("start to ready", time.perf_counter() - began, "s")
        inputs = data.test.batch([0])[0]
        requests = {"JSON": _in_json(endpoint, inputs), "binary": _in_binary(endpoint, inputs)}
        for form, request in requests.items():
            for connections in (1, 16):
                yield from _under_load(endpoint, form, request, connections, alone)
        yield from _memory(endpoint.info.pid)
    finally:
        endpoint.stop()


def _under_load(
    endpoint: Any, form: str, request: bytes, connections: int, alone: float
) -> Iterator[Figure]:
    before = _cpu_s(endpoint.info.pid)
    found = _load(endpoint.url, request, connections)
    used = _cpu_s(endpoint.info.pid) - before
    what = f"{form}, {connections} connection{'s' if connections > 1 else ''}"
    per_second = found["per_second"]
    yield Figure(what, per_second, "requests/s")
    yield Figure(f"{what}: p50", found["p50_ms"], "ms")
    yield Figure(f"{what}: of ONNX Runtime alone", per_second / alone, "×")
    if used:
        yield Figure(f"{what}: its CPU", 1e6 * used / (per_second * _SECONDS), "µs/request")


def _alone(path: Path, data: Any) -> float:
    session = open_session(path)
    sample = data.test.batch([0])[0]
    for _ in range(200):
        session.run(sample)
    calls, began = 0, time.perf_counter()
    while time.perf_counter() - began < 1:
        session.run(sample)
        calls += 1
    return calls / (time.perf_counter() - began)


def _in_json(endpoint: Any, inputs: np.ndarray) -> bytes:
    tensor = {
        "name": "input",
        "shape": list(inputs.shape),
        "datatype": "FP32",
        "data": inputs.ravel().tolist(),
    }
    return _request(endpoint, json.dumps({"inputs": [tensor]}).encode(), {})


def _in_binary(endpoint: Any, inputs: np.ndarray) -> bytes:
    blob = np.ascontiguousarray(inputs, np.float32).tobytes()
    tensor = {
        "name": "input",
        "shape": list(inputs.shape),
        "datatype": "FP32",
        "parameters": {"binary_data_size": len(blob)},
    }
    asked = {"inputs": [tensor], "parameters": {"binary_data_output": True}}
    head = json.dumps(asked).encode()
    return _request(endpoint, head + blob, {"inference-header-content-length": str(len(head))})


def _request(endpoint: Any, body: bytes, headers: dict[str, str]) -> bytes:
    lines = [
        f"POST /v2/models/{_NAME}/infer HTTP/1.1",
        f"host: {urlsplit(endpoint.url).netloc}",
        f"authorization: Bearer {endpoint.token}",
        f"content-length: {len(body)}",
        "content-type: " + ("application/octet-stream" if headers else "application/json"),
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body


def _load(url: str, request: bytes, connections: int) -> dict[str, float]:
    place = urlsplit(url)
    order = {
        "host": place.hostname,
        "port": place.port,
        "request": base64.b64encode(request).decode(),
        "connections": connections,
        "seconds": _SECONDS,
    }
    done = subprocess.run(
        [sys.executable, "-I", str(_GENERATOR)],
        input=json.dumps(order),
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    found: dict[str, float] = json.loads(done.stdout)
    return found


def _cpu_s(pid: int) -> float:
    """Returns the CPU a process has used; 0 where the system does not tell."""
    path = Path(f"/proc/{pid}/stat")
    if not path.exists():
        return 0.0
    fields = path.read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _memory(pid: int) -> Iterator[Figure]:
    path = Path(f"/proc/{pid}/status")
    if path.exists():
        lines = dict(line.split(":", 1) for line in path.read_text().splitlines() if ":" in line)
        yield Figure("memory after the load (RSS)", int(lines["VmRSS"].split()[0]) / 1000, "MB")
        yield Figure("its peak", int(lines["VmHWM"].split()[0]) / 1000, "MB")
