"""Processes that are killed or told to end while they are asked."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.soak.saying import say
from tests.soak.steady import Broken, Steady, steady
from tests.unit.serving.harness import wait_for
from tests.unit.serving.workers import Workers, start, workers

_WORKERS = 3
_CALLERS = 4
_LOOK_S = 0.3


@contextmanager
def scene(file: Path, folder: Path) -> Iterator[dict[str, Callable[[], float]]]:
    """An endpoint of several workers that are asked all the time; others of one process."""
    with (
        workers(file, folder, _WORKERS) as found,
        steady(found.ready["url"], found.ready["token"], _CALLERS) as others,
    ):
        yield {
            f"kill -9 of one of {_WORKERS} workers": lambda: _kill(found, others, 1),
            f"kill -9 of two of {_WORKERS} workers": lambda: _kill(found, others, 2),
            "SIGTERM under load": lambda: _terminate(file),
        }
        say(f"({others.answered:,} answered, {len(others.lost)} lost with a killed worker)")


def _kill(found: Workers, others: Steady, count: int) -> float:
    """Kills workers while another waits, loaded; returns when as many as before answer."""
    wait_for(lambda: _spare_is_loaded(found))
    restarts = found.health()["restarts"]
    began = time.monotonic()
    killed, lost = found.pids()[:count], len(others.lost)
    for pid in killed:
        os.kill(pid, signal.SIGKILL)
    try:
        wait_for(lambda: _are_back(found, restarts + count))
    except TimeoutError:
        raise Broken("not all workers came back") from None
    seconds = time.monotonic() - began
    if set(killed) & set(found.pids()):
        raise Broken("a killed worker is said to be alive")
    others.go_on(4 * _CALLERS)
    if len(others.lost) - lost > 2 * _CALLERS * count:
        raise Broken(f"{len(others.lost) - lost} requests were lost with {count} workers")
    return seconds


def _are_back(found: Workers, restarts: int) -> bool:
    try:
        health = found.health()
    except httpx.HTTPError:  # the connection went to one that was killed
        return False
    return bool(health["restarts"] == restarts and health["alive"] == health["wanted"])


def _spare_is_loaded(found: Workers) -> bool:
    """Whether the process that waits to take a place has nothing left to do."""
    spares = set(found.children()) - set(found.pids())
    before = {pid: _cpu(pid) for pid in spares}
    threading.Event().wait(_LOOK_S)
    return len(spares) == 1 and all(_cpu(pid) == spent for pid, spent in before.items())


def _cpu(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]


def _terminate(file: Path) -> float:
    """Ends a process that is asked: all that it took is answered, then it ends well."""
    with start(file, "--json") as process:
        try:
            ready = json.loads(process.stdout.readline())
            with steady(ready["url"], ready["token"], _CALLERS) as others:
                began = time.monotonic()
                os.kill(process.pid, signal.SIGTERM)
                code = process.wait(30)
                seconds = time.monotonic() - began
            others.check()
            if code:
                raise Broken(f"it ended with code {code}")
            return seconds
        finally:
            process.kill()
