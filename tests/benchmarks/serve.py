"""`make bench-serve`: the endpoint under wrk, beside ONNX Runtime alone, on one core each.

    python -m tests.benchmarks.serve [--seconds 5] [--json FILE]

Token check, metrics, request log and limits are on; the package is compiled first, as pip does it.
The server has the first usable core, wrk the second; ONNX Runtime alone runs on the first, before
and after each load, and the ratio is to the mean of both. The servers of the extra `bench-peers`
are loaded the same way, where it is installed.
wrk comes from the system (`apt install wrk`).
"""

from __future__ import annotations

import argparse
import compileall
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

import workbench
from tests.benchmarks import peers
from tests.benchmarks.figure import Figure, shown
from tests.benchmarks.load import Load, alone, write_script, wrk
from workbench.core.host import usable_cores
from workbench.flow.workspace import Workspace
from workbench.runtime.cpu import describe_cpu
from workbench.screens.views.endpoint import STAGES

_NAME = "bench"
_BARE = Path(__file__).with_name("bare_server.py")


@dataclass(frozen=True)
class Net:
    """A network to be served, one input shape, and the goals of issue and anchors."""

    name: str
    module: nn.Module
    shape: tuple[int, ...]
    goals: dict[str, float]


def nets() -> list[Net]:
    """Returns the tiny MLP and the CNN that others were measured with."""
    torch.manual_seed(0)
    mlp = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))
    cnn = nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(2048, 10),
    )  # fmt: skip
    return [
        Net("MLP 64→128→10", mlp, (64,), {"JSON": 0.21, "binary": 0.25}),
        Net("CNN 3×32×32", cnn, (3, 32, 32), {"JSON": 0.52, "binary": 0.85}),
    ]


def exported(net: Net, folder: Path) -> Path:
    """Returns the ONNX file of a net, its first dimension free."""
    path = folder / f"{net.shape[0]}.onnx"
    torch.onnx.export(
        net.module.eval(), (torch.zeros(2, *net.shape),), path, input_names=["input"],
        output_names=["output"], dynamo=True, verbose=False, external_data=False,
        dynamic_shapes=({0: torch.export.Dim("batch")},),
    )  # fmt: skip
    return path


def figures(folder: Path, seconds: float) -> Iterator[Figure]:
    """Yields every figure, net by net."""
    compileall.compile_dir(str(Path(workbench.__file__).parent), quiet=1)
    server, client = sorted(os.sched_getaffinity(0))[:2]
    space = Workspace(folder / ".workbench", inline=True)
    for net in nets():
        path = exported(net, folder)
        began = time.perf_counter()
        endpoint = space.serve(path, name=_NAME)
        yield Figure(f"{net.name}: start to ready", time.perf_counter() - began, "s", 1)
        pin(endpoint.info.pid, server)
        try:
            yield from of_net(net, path, endpoint, (server, client), seconds, folder)
        finally:
            endpoint.stop()
        if net.shape == (64,):
            sample = np.random.default_rng(0).random((1, *net.shape), np.float32)
            yield from peers.figures(path, sample, (server, client), seconds, folder)


def of_net(
    net: Net, path: Path, endpoint: Any, cores: tuple[int, int], seconds: float, folder: Path
) -> Iterator[Figure]:
    """Yields the figures of one net."""
    sample = np.random.default_rng(0).random((1, *net.shape), np.float32)
    bodies = {"JSON": in_json(sample), "binary": in_binary(sample)}
    pid = endpoint.info.pid
    bare = {form: bare_server(endpoint, *sent, cores, folder) for form, sent in bodies.items()}
    yield Figure(f"{net.name}: CPU when idle", idle_percent(pid), "%", 1)
    for form, (body, headers) in bodies.items():
        for connections in (1, 64):
            what = f"{net.name}, {form}, {connections} connection{'s' * (connections > 1)}"
            script = write_script(folder, body, {**headers, **bearer(endpoint)})
            url = f"{endpoint.url}/v2/models/{_NAME}/infer"
            wrk(url, script, connections, 1, cores[1])
            before = alone(path, sample, cores[0])
            stages, used = stage_seconds(endpoint), cpu_s(pid)
            load = wrk(url, script, connections, seconds, cores[1])
            used, spent = cpu_s(pid) - used, stage_seconds(endpoint)
            reference = (before + alone(path, sample, cores[0])) / 2
            yield Figure(what, load.per_second, "requests/s")
            if load.errors:
                yield Figure(f"{what}: errors", load.errors, "", 0)
            if connections == 1:
                yield Figure(f"{what}: p50", load.p50_ms, "ms", 0.25)
                yield Figure(f"{what}: p50 of the bare server", bare[form][1].p50_ms, "ms")
                continue
            yield Figure(f"{net.name}: ONNX Runtime alone", reference, "calls/s")
            share = load.per_second / reference
            yield Figure(f"{what}: of that", share, "×", net.goals[form], is_floor=True)
            yield Figure(
                f"{net.name}, {form}: a bare server, no model",
                bare[form][64].per_second,
                "requests/s",
            )
            yield Figure(
                f"{what}: of the bare server", load.per_second / bare[form][64].per_second, "×"
            )
            yield Figure(f"{what}: p99 to p50", load.p99_ms / load.p50_ms, "×", 4)
            count = load.per_second * seconds
            yield Figure(f"{what}: the process", 1e6 * used / count, "CPU-µs/request")
            for stage in STAGES:
                yield Figure(
                    f"{what}: {stage}", 1e6 * (spent[stage] - stages[stage]) / count, "µs/request"
                )
    yield Figure(f"{net.name}: memory after the load (RSS)", rss_mb(pid), "MB", 120)


def bare_server(
    endpoint: Any, body: bytes, headers: dict[str, str], cores: tuple[int, int], folder: Path
) -> dict[int, Load]:
    """Returns the load, by connections, of a server that reads the same bytes and has no model."""
    command = ["taskset", "-c", str(cores[0]), sys.executable, str(_BARE)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            port = int(server.stdout.readline()) if server.stdout is not None else 0
            script = write_script(folder, body, {**headers, **bearer(endpoint)})
            url = f"http://127.0.0.1:{port}/v2/models/{_NAME}/infer"
            return {count: wrk(url, script, count, 2, cores[1]) for count in (1, 64)}
        finally:
            server.kill()


def bearer(endpoint: Any) -> dict[str, str]:
    """Returns the header with the endpoint's token."""
    return {"authorization": f"Bearer {endpoint.token}"}


def in_json(sample: np.ndarray) -> tuple[bytes, dict[str, str]]:
    """Returns an inference request in JSON, values as short as float32 allows."""
    data = [float(f"{value:.8g}") for value in sample.ravel().tolist()]
    tensor = {"name": "input", "shape": list(sample.shape), "datatype": "FP32", "data": data}
    return json.dumps({"inputs": [tensor]}).encode(), {"content-type": "application/json"}


def in_binary(sample: np.ndarray) -> tuple[bytes, dict[str, str]]:
    """Returns the same with the binary tensor extension, both ways."""
    blob = np.ascontiguousarray(sample, np.float32).tobytes()
    tensor = {
        "name": "input", "shape": list(sample.shape), "datatype": "FP32",
        "parameters": {"binary_data_size": len(blob)},
    }  # fmt: skip
    head = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}).encode()
    length = {"inference-header-content-length": str(len(head))}
    return head + blob, {"content-type": "application/octet-stream", **length}


def pin(pid: int, core: int) -> None:
    """Puts every thread of a process on one core."""
    for task in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(task.name), {core})


def idle_percent(pid: int, seconds: float = 3.0) -> float:
    """Returns the CPU a process uses while nobody asks."""
    before = cpu_s(pid)
    time.sleep(seconds)
    return 100 * (cpu_s(pid) - before) / seconds


def cpu_s(pid: int) -> float:
    """Returns the CPU seconds a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rss_mb(pid: int) -> float:
    """Returns the resident memory of a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(x for x in status.splitlines() if x.startswith("VmRSS")).split()[1]) / 1000


def stage_seconds(endpoint: Any) -> dict[str, float]:
    """Returns the seconds spent in each stage so far, from the endpoint's own metrics."""
    page = endpoint.client.metrics()
    found = dict.fromkeys(STAGES, 0.0)
    for stage, value in re.findall(r"^workbench_(\w+)_seconds_sum\S* ([\d.e+-]+)", page, re.M):
        if stage in found:
            found[stage] += float(value)
    return found


def machine() -> str:
    """Returns what it ran on, in words."""
    return f"{describe_cpu().words}; {usable_cores()} cores; Python {sys.version.split()[0]}"


def main() -> int:
    """Prints every figure beside its goal; a missed goal is printed, it is no failure."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.serve", description=__doc__)
    parser.add_argument("--seconds", type=float, default=5, help="of each load")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    options = parser.parse_args()
    if shutil.which("wrk") is None or not hasattr(os, "sched_setaffinity"):
        parser.error("needs wrk and Linux: apt install wrk")
    if usable_cores() < 2:
        parser.error("needs two cores: one for the endpoint, one for wrk")
    load = os.getloadavg()[0]
    sys.stdout.write(f"{machine()}; load {load:.1f} before the start\n")
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for figure in figures(Path(folder), options.seconds):
            line = f"{figure.name:<52} {shown(figure.value):>9} {figure.unit:<15}"
            sys.stdout.write(f"{line} {figure.goal_text:>8}  {figure.verdict}".rstrip() + "\n")
            sys.stdout.flush()
            rows.append(figure.to_json())
    if options.json:
        found = {"machine": machine(), "load_before": load, "figures": rows}
        options.json.write_text(json.dumps(found, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
