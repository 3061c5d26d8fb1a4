"""Processes that are killed or told to end while they are asked."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.soak.saying import say
from tests.soak.steady import Broken, Steady, steady
from tests.unit.serving.workers import Workers, start, workers

_WORKERS = 3
_CALLERS = 4


@contextmanager
def scene(file: Path, folder: Path) -> Iterator[dict[str, Callable[[], float]]]:
    """An endpoint of several workers that are asked all the time; others of one process."""
    with (
        workers(file, folder, _WORKERS) as found,
        steady(found.ready["url"], found.ready["token"], _CALLERS) as others,
    ):
        yield {
            f"kill -9 of one of {_WORKERS} workers": lambda: _kill(found, others),
            "SIGTERM under load": lambda: _terminate(file),
        }
        say(f"({others.answered:,} answered, {len(others.lost)} lost with a killed worker)")


def _kill(found: Workers, others: Steady) -> float:
    """Kills a worker; returns when another stands in its place and says so."""
    began = time.monotonic()
    killed, lost = found.pids()[0], len(others.lost)
    try:
        found.kill_one()
    except TimeoutError:
        raise Broken("the killed worker did not come back") from None
    seconds = time.monotonic() - began
    if killed in found.pids():
        raise Broken("the killed worker is said to be alive")
    others.go_on(4 * _CALLERS)
    if len(others.lost) - lost > 2 * _CALLERS:
        raise Broken(f"{len(others.lost) - lost} requests were lost with one worker")
    return seconds


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
