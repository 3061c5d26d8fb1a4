"""Other servers under the same load as the endpoint: those of the extra `bench-peers`.

One core for all processes of a server, wrk on another; a row in JSON at 64 connections.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tests.benchmarks.figure import Figure
from tests.benchmarks.load import alone, write_script, wrk
from workbench.core.optional import is_installed

_SERVERS = Path(__file__).with_name("peer_servers")
_START_S = 60.0
PEERS = {"FastAPI": "/predict", "LitServe": "/predict", "mosec": "/inference"}


def figures(
    model: Path, sample: np.ndarray, cores: tuple[int, int], seconds: float, folder: Path
) -> Iterator[Figure]:
    """Yields what each installed server reaches, as a share of ONNX Runtime alone.

    Args:
        model: The ONNX file.
        sample: One row.
        cores: Of the server and of wrk.
        seconds: Of each load.
        folder: For what wrk sends.
    """
    rows = [[float(f"{value:.8g}") for value in row] for row in sample.tolist()]
    body = json.dumps({"inputs": rows})
    script = write_script(folder, body.encode(), {"content-type": "application/json"})
    for name, path in PEERS.items():
        if not is_installed(name.lower()):
            continue
        with _running(name, model, cores[0], body.encode()) as port:
            url = f"http://127.0.0.1:{port}{path}"
            wrk(url, script, 64, 1, cores[1])
            before = alone(model, sample, cores[0])
            load = wrk(url, script, 64, seconds, cores[1])
            reference = (before + alone(model, sample, cores[0])) / 2
        yield Figure(f"{name}, JSON, 64 connections", load.per_second, "requests/s")
        yield Figure(f"{name}, JSON, 64 connections: of that", load.per_second / reference, "×")
        if load.errors:
            yield Figure(f"{name}, JSON, 64 connections: errors", load.errors, "")


@contextlib.contextmanager
def _running(name: str, model: Path, core: int, body: bytes) -> Iterator[int]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    script = _SERVERS / f"run_{name.lower()}.py"
    command = ["taskset", "-c", str(core), sys.executable, str(script), str(model)]
    process = subprocess.Popen(
        [*command, str(port)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        _wait(f"http://127.0.0.1:{port}{PEERS[name]}", body, process)
        yield port
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _wait(url: str, body: bytes, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline and process.poll() is None:
        request = urllib.request.Request(url, body, {"content-type": "application/json"})
        with contextlib.suppress(OSError), urllib.request.urlopen(request, timeout=5):
            return
        time.sleep(0.2)
    raise SystemExit(f"the server of {url} did not answer")
