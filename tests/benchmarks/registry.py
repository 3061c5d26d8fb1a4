"""Operations of the registry: CPU of each, without the disk's own time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

from tests.benchmarks.figure import Figure
from workbench.store import open_store

_TIMES = 60
_READS = 500


def figures(folder: Path) -> Iterator[Figure]:
    """Yields the figures. Goals are three times what a fast machine was measured with."""
    store = open_store(folder)
    blob = store.blobs.put_bytes(bytes(60_000), ".onnx")
    manifest = {"files": {"model.onnx": blob.to_json()}, "description": {}, "data": None}

    def register(number: int) -> None:
        store.models.register("digits", {**manifest, "seed": number})

    def promote(number: int) -> None:
        store.models.promote("digits", 1 + number % 2)

    def read(_: int) -> None:
        store.models.alias("digits", "champion")

    yield Figure("register a version", _cpu_ms(register, _TIMES), "CPU-ms", 5.4)
    yield Figure("set an alias", _cpu_ms(promote, _TIMES), "CPU-ms", 1.02)
    yield Figure("read an alias", 1e3 * _cpu_ms(read, _READS), "CPU-µs")
    latest = store.models.get("digits", _TIMES)
    verify = _cpu_ms(lambda _: store.models.verify(latest), _TIMES)
    yield Figure("verify a version of 60 kB", verify, "CPU-ms")


def _cpu_ms(work: Callable[[int], object], times: int) -> float:
    found = []
    for number in range(times):
        began = time.process_time_ns()
        work(number)
        found.append((time.process_time_ns() - began) / 1e6)
    return median(found)
