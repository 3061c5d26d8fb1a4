"""Load on a server by wrk, and ONNX Runtime alone to compare it with."""

from __future__ import annotations

import os
import re
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from workbench.runtime.session import open_session

_SCRIPT = """
wrk.method = "POST"
local file = io.open("{body}", "rb")
wrk.body = file:read("*a")
file:close()
{headers}
done = function(summary, latency, requests)
  io.write(string.format("@%d %d %d %f %f %f\\n", summary.requests, summary.duration,
    summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.status
    + summary.errors.timeout, latency:percentile(50), latency:percentile(99), latency.max))
end
"""


@dataclass(frozen=True)
class Load:
    """What wrk found."""

    per_second: float
    errors: int
    p50_ms: float
    p99_ms: float


def write_script(folder: Path, body: bytes, headers: dict[str, str]) -> Path:
    """Writes what wrk sends; a token is in a file of our own folder, not on a command line."""
    (folder / "body").write_bytes(body)
    lines = "\n".join(f'wrk.headers["{name}"] = "{value}"' for name, value in headers.items())
    script = folder / "request.lua"
    script.write_text(_SCRIPT.format(body=folder / "body", headers=lines))
    return script


def wrk(url: str, script: Path, connections: int, seconds: float, core: int) -> Load:
    """Runs wrk with one thread on one core."""
    command = ["taskset", "-c", str(core), "wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s"]
    done = subprocess.run(
        [*command, "-s", str(script), url],
        capture_output=True, text=True, check=True, timeout=seconds + 60,
    )  # fmt: skip
    found = re.search(r"@(\d+) (\d+) (\d+) ([\d.]+) ([\d.]+) ([\d.]+)", done.stdout)
    if found is None:
        raise SystemExit(f"wrk said nothing to be read:\n{done.stdout}{done.stderr}")
    requests, micros, errors, p50, p99, _ = map(float, found.groups())
    return Load(requests / (micros / 1e6), int(errors), p50 / 1e3, p99 / 1e3)


def alone(path: Path, sample: np.ndarray, core: int, seconds: float = 1.0) -> float:
    """Returns calls a second of ONNX Runtime in this process, one thread, on one core."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        session = open_session(path)
        session.warm(sample, runs=200)
        calls, began = 0, time.perf_counter()
        while (spent := time.perf_counter() - began) < seconds:
            for _ in range(50):
                session.run(sample)
            calls += 50
        return calls / spent
    finally:
        os.sched_setaffinity(0, before)
