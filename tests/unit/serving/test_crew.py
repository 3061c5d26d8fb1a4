"""Work beside the event loop: bounded, given up in time, and never in another sort's way."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading

import pytest

from tests.unit.serving.harness import wait_for
from workbench.core.errors import CancelledError, InputError, OverloadedError
from workbench.serving.crew import Crew, while_wanted


@pytest.fixture
def gate():
    made = threading.Event()
    yield made
    made.set()


async def begun(crew, work):
    started = threading.Event()

    def run():
        started.set()
        return work()

    task = asyncio.create_task(crew.run(run))
    while not started.is_set():
        await asyncio.sleep(0)
    return task


def test_what_work_returns_or_raises_is_its_callers():
    crew = Crew("trying", 2, 8, 10.0)
    assert asyncio.run(crew.run(lambda: 7)) == 7
    with pytest.raises(ZeroDivisionError):
        asyncio.run(crew.run(lambda: 1 // 0))


def test_beyond_what_may_wait_callers_are_told_to_come_again(gate):
    crew = Crew("trying", 1, 1, 10.0)

    async def three():
        first = await begun(crew, gate.wait)
        second = asyncio.create_task(crew.run(lambda: 2))
        await asyncio.sleep(0)
        with pytest.raises(OverloadedError, match="2 requests wait for trying") as refused:
            await crew.run(lambda: 3)
        assert refused.value.context["retry_after_s"] == 1
        gate.set()
        return await first, await second

    assert asyncio.run(three()) == (True, 2)


def test_work_that_takes_too_long_is_given_up_for_its_caller(gate):
    crew = Crew("trying", 1, 1, 0.05)

    async def late():
        with pytest.raises(InputError, match=r"Trying takes more than 0\.05 s"):
            await crew.run(gate.wait)
        with pytest.raises(OverloadedError, match="No thread was free"):
            await crew.run(lambda: 1)

    asyncio.run(late())


def test_steps_that_nobody_waits_for_are_not_done(gate):
    crew, done, ended = Crew("trying", 1, 1, 10.0), [], []

    def steps():
        try:
            for step in while_wanted(range(5)):
                done.append(step)
                gate.wait()
        except CancelledError:
            ended.append(1)

    async def dropped():
        task = await begun(crew, steps)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(dropped())
    gate.set()
    wait_for(lambda: ended)
    assert done == [0]


_STUCK = """
import asyncio, threading
from workbench.serving.crew import Crew
async def main():
    await Crew("trying", 1, 0, 0.05).run(threading.Event().wait)
try:
    asyncio.run(main())
except Exception as error:
    print(error.code)
"""


def test_a_process_ends_whatever_its_threads_do():
    done = subprocess.run(
        [sys.executable, "-c", _STUCK], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.split() == ["bad_input"]
