"""A worker that does not answer is replaced, and nobody waits for it."""

import asyncio
import os
import signal
import sys
import threading
from contextlib import contextmanager, suppress

import httpx
import numpy as np
import pytest

from tests.unit.serving.harness import wait_for
from tests.unit.serving.workers import BODY, workers
from workbench.core.host import process_start
from workbench.serving import discovery
from workbench.serving.batching import Batcher
from workbench.serving.errors import StartError
from workbench.serving.liveness import Patience, Pulse, until_hung
from workbench.serving.worker_process import WorkerProcess

QUICK = Patience(loop_s=0.02, model_s=5.0, leave_s=0.04)


def hung(answers):
    """Returns why a process counts as hung that gives these answers, the last again and again."""
    left = list(answers)

    async def ask():
        answer = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def found():
        return await asyncio.wait_for(until_hung(ask, QUICK), 20), len(left)

    return asyncio.run(found())


def test_only_silence_that_lasts_counts():
    lively, silent = Pulse(), TimeoutError()
    reason, left = hung([silent, silent, silent, silent, lively, silent])
    assert "answered nothing" in reason
    assert left == 1
    assert "answered nothing" in hung([OSError("reset"), ValueError("no pulse")])[0]


def test_a_long_run_is_no_silence_but_has_an_end():
    reason, left = hung([Pulse("digits@1", 4.9), Pulse("digits@1", 5.1), Pulse()])
    assert reason == "digits@1 has been running one batch for 5 s"
    assert left == 1


def test_who_takes_no_questions_may_end_in_peace_but_not_for_ever():
    refused = ConnectionRefusedError()
    reason, _ = hung([refused] * 6 + [Pulse()] + [refused])
    assert "has not ended" in reason


def test_a_replacement_gets_a_few_times_as_long_as_the_first_ones_took():
    patience = Patience(start_s=60.0)
    assert [patience.again_s(took) for took in (1.0, 10.0, 50.0)] == [8.0, 35.0, 60.0]


def test_a_worker_that_is_stopped_while_it_loads_is_ended():
    stop = "import os, signal; os.kill(os.getpid(), signal.SIGSTOP)"
    with pytest.raises(StartError, match="said nothing"):
        asyncio.run(WorkerProcess.start([sys.executable, "-c", stop], {}, 0.5))


def test_a_pulse_is_read_as_it_was_said():
    said = Pulse("数字@3", 1.25)
    assert Pulse.of_line(said.to_line()) == said
    with pytest.raises(ValueError, match="float"):
        Pulse.of_line(b"")


def test_a_run_under_way_has_an_age():
    go, begun = threading.Event(), threading.Event()

    class Model:
        def predict(self, inputs):
            begun.set()
            go.wait(20)
            return dict(inputs)

        def close(self):
            pass

    async def ask():
        batcher = Batcher(Model(), can_batch=False, is_fixed=True, check=lambda inputs: None)
        batcher.start("m")
        assert batcher.busy_s == 0
        batcher.submit({"x": np.ones((1, 1), np.float32)}, 1, lambda job: None)
        await asyncio.to_thread(begun.wait, 20)
        first = batcher.busy_s
        assert batcher.busy_s > first > 0
        go.set()
        await batcher.close()
        assert batcher.busy_s == 0

    asyncio.run(ask())


@pytest.fixture(scope="module")
def found(digits_file, tmp_path_factory):
    options = ("--hung-after", "2")  # a busy machine is slow to answer, too
    with workers(digits_file, tmp_path_factory.mktemp("hung"), options=options) as made:
        wait_for(lambda: len(made.children()) == 3)  # one waits to take a place
        yield made


def asked(found, method, path, **options):
    """Asks until the connection is not one of a worker that is ended."""
    for _ in range(1000):
        with suppress(httpx.HTTPError):
            return found.request(method, path, timeout=20, **options)
    raise TimeoutError("nobody answers")


@contextmanager
def stopped(pid):
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        if process_start(pid):
            os.kill(pid, signal.SIGCONT)


def test_a_stopped_worker_is_replaced(found):
    first, second = found.pids()
    with stopped(first):
        wait_for(lambda: first not in found.pids() and len(found.pids()) == 2)
    assert second in found.pids()
    for _ in range(10):
        assert asked(found, "POST", "/predict", json=BODY).status_code == 200


@pytest.mark.full
def test_a_stopped_spare_takes_no_place(found):
    wait_for(lambda: len(found.children()) == 3)
    (spare,) = set(found.children()) - set(found.pids())
    with stopped(spare):
        found.kill_one()
        assert spare not in found.pids()
    assert asked(found, "POST", "/predict", json=BODY).status_code == 200


def test_managing_waits_for_no_dead_worker_and_names_it(found):
    """What was revoked is not let in by a worker that was stopped meanwhile, and goes on later."""
    made = asked(found, "POST", "/manage/tokens", json={"name": "lost"}).json()
    assert "unconfirmed" not in made
    health = asked(found, "GET", "/v2/health/live")
    assert health.status_code == 200
    victim = found.pids()[0]
    with stopped(victim):
        told = asked(found, "DELETE", "/manage/tokens/lost")
        assert told.status_code in (200, 404), told.text
        if told.status_code == 200:  # 404: the first try was ended with its worker
            assert told.json() in ({"revoked": "lost", "unconfirmed": [0]}, {"revoked": "lost"})
        wait_for(lambda: victim not in found.pids())
        assert process_start(victim) is None
    headers = {"authorization": f"Bearer {made['token']}"}
    url = f"{found.ready['url']}/predict"
    for _ in range(12):
        answer = httpx.post(url, json=BODY, headers=headers, trust_env=False)
        assert answer.status_code == 403, answer.text


@pytest.mark.full
def test_a_token_holds_at_all_workers_when_the_call_returns(found):
    wait_for(lambda: len(found.pids()) == 2)
    made = asked(found, "POST", "/manage/tokens", json={"name": "ci"}).json()
    url, headers = f"{found.ready['url']}/predict", {"authorization": f"Bearer {made['token']}"}

    def statuses():
        sent = [httpx.post(url, json=BODY, headers=headers, trust_env=False) for _ in range(12)]
        return {answer.status_code for answer in sent}

    assert statuses() == {200}
    assert asked(found, "DELETE", "/manage/tokens/ci").status_code == 200
    assert statuses() == {403}


@pytest.mark.full
def test_a_supervisor_without_workers_says_that_it_failed_and_why(digits_file, tmp_path):
    """Its file is gone, so nothing can take the place of who is killed."""
    file = tmp_path / "mine.onnx"
    file.write_bytes(digits_file.read_bytes())
    with workers(file, tmp_path) as found:
        wait_for(lambda: len(found.children()) == 3)
        file.unlink()
        runtime = tmp_path / "runtime"

        def failed():
            for pid in found.pids():
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            (info,) = discovery.running(runtime)
            return info.failed

        assert "worker" in wait_for(failed)
        wait_for(lambda: "mine.onnx" in failed())
        file.write_bytes(digits_file.read_bytes())
        wait_for(lambda: discovery.running(runtime)[0].failed == "")
        assert asked(found, "POST", "/predict", json=BODY).status_code == 200
