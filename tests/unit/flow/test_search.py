"""A search as the user holds it: it keeps what it measures, its limits, its time, its word."""

import errno
import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

import workbench as wb
from tests.unit.flow.test_run import wait_for
from workbench.compression.goal import checked_goal
from workbench.flow.study_bench import StudyBench
from workbench.flow.timed_context import OutOfTimeError
from workbench.flow.workspace import Workspace
from workbench.store.blobs import Blobs

ELSEWHERE = """
import sys
import workbench as wb
wb.study(sys.argv[1]).search(max_drop=0.05, budget=300)
"""


def test_it_returns_the_smallest_it_measured_within_the_limit_and_confirms_it(ready):
    study = ready.space.study(ready.run, ready.data)
    began = time.monotonic()
    best = study.search(max_drop=0.02, budget="6 s")
    assert best.found.seconds <= round(time.monotonic() - began, 2)
    within = [v for v in study.variants if v.drop <= 0.02]
    assert best.size_bytes == min(v.size_bytes for v in within)
    assert best.size_bytes < 0.4 * study.baseline.size_bytes
    assert len(study.variants) > 1
    test = ready.space.evaluate(best, ready.data, "test")
    assert best.confirmed == pytest.approx(test["accuracy"])
    assert best.confirmation.samples == len(ready.data.test)
    assert f"confirmed {best.confirmed:.4f}" in repr(best)
    assert "that the search never saw" in best.found.words
    assert best.found.is_within
    assert best.to_json()["found"]["words"] == best.found.words
    (run,) = ready.space.runs("search")
    assert run.status == "succeeded"
    assert run.ref == best.found.run
    again = wb.study(study.ref)
    kept = next(v for v in again.variants if v.recipe == best.recipe)
    assert kept.confirmed == best.confirmed, "any process sees it"


def test_an_impossible_limit_returns_the_nearest_and_names_what_binds(ready):
    study = ready.space.study(ready.run, ready.data)
    study.measure("cluster:16")
    best = study.search(max_drop=0.02, max_size=300, budget=2)
    assert not best.found.is_within
    assert best.found.binding == "max_size"
    assert "max_size=0.3 kB binds" in best.found.words
    assert best.size_bytes == min(v.size_bytes for v in study.variants if v.drop <= 0.02)


def test_a_latency_limit_and_minimize_are_kept(ready):
    study = ready.space.study(ready.run, ready.data)
    best = study.search(max_drop=0.03, minimize="latency_ms", budget=3)
    within = [v for v in study.variants if v.drop <= 0.03]
    assert best.latency_ms == min(v.latency_ms for v in within)


def test_with_no_time_the_baseline_is_returned_and_said(ready):
    best = ready.space.study(ready.run, ready.data).search(budget=0.001)
    assert best.is_baseline
    assert "the baseline is the choice" in best.found.words


def test_everything_wrong_with_the_limits_is_said_at_once(ready):
    study = ready.space.study(ready.run, ready.data)
    with pytest.raises(wb.InputError) as caught:
        study.search(max_drop=1.5, max_size="big", max_latency_ms=-1, minimize="size", budget=-5)
    text = str(caught.value)
    for part in ("write 0.015", "'60 kB'", "max_latency_ms", "'size_bytes'", "'2 min'"):
        assert part in text
    assert len(caught.value.problems) == 5
    assert [v.recipe for v in study.variants] == ["baseline"]
    drop = checked_goal(
        max_drop=12.0, max_size=None, max_latency_ms=None, minimize="size_bytes", budget=1,
        metric="rmse",
    ).max_drop  # fmt: skip
    assert drop == 12.0, "other metrics have other units"


def test_stop_from_elsewhere_returns_the_best_so_far(ready):
    study = ready.space.study(ready.run, ready.data)
    found = []
    thread = threading.Thread(target=lambda: found.append(study.search(budget="10 min")))
    thread.start()
    wait_for(lambda: len(study.variants) > 2)
    (run,) = ready.space.runs("search")
    assert run.status == "running"
    run.stop()
    thread.join(60)
    assert found[0].found.ended == "stopped"
    assert "continues when called again" in found[0].found.words
    assert found[0].size_bytes <= study.baseline.size_bytes
    assert run.status == "cancelled"


def test_ctrl_c_returns_the_best_so_far(ready):
    study = ready.space.study(ready.run, ready.data)

    def interrupt(kind, data):
        if kind == "tried":
            raise KeyboardInterrupt

    best = study.search(budget="10 min", on_event=interrupt)
    assert best.found.ended == "interrupted"
    assert len(study.variants) >= 2


def test_something_is_measured_before_the_estimates_are_there(ready, monkeypatch):
    stopped = threading.Event()

    def slow(bench):
        assert stopped.wait(60)
        raise OutOfTimeError("as on a machine that is very busy")

    monkeypatch.setattr(StudyBench, "estimator", slow)
    study = Workspace(ready.space.store.home.root).study(ready.run, ready.data)

    def stop_then(kind, data):
        if kind == "tried":
            stopped.set()
            raise KeyboardInterrupt

    best = study.search(budget="10 min", on_event=stop_then)
    assert best.size_bytes < 0.5 * study.baseline.size_bytes
    assert best.drop <= 0.01
    study._work.worker.close()


def test_kill_during_a_search_loses_no_measured_variant(ready):
    study = ready.space.study(ready.run, ready.data)
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", ELSEWHERE, study.ref], stderr=subprocess.DEVNULL
    )
    try:
        wait_for(lambda: len(study.variants) >= 2, 120)
        kept = {v.recipe: v.to_json() for v in study.variants}
        os.kill(process.pid, signal.SIGKILL)
    finally:
        process.kill()
        process.wait(30)
    (run,) = ready.space.runs("search")
    assert run.status == "interrupted"
    best = study.search(max_drop=0.05, budget=1)
    after = {v.recipe: v.to_json() for v in study.variants}
    assert all(after[name]["score"] == value["score"] for name, value in kept.items())
    assert all(v.path.exists() for v in study.variants)
    assert best.found.known >= len(kept)
    assert best.size_bytes <= min(v["size_bytes"] for v in kept.values() if v["drop"] <= 0.05)


def test_compress_takes_a_module_of_ones_own(ready):
    torch = pytest.importorskip("torch")
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))
    own = ready.space.compress(net, ready.data, max_drop=0.05, budget=1)
    assert own.found.is_within
    assert own.confirmed is not None or own.is_baseline


def test_compress_in_the_shell(ready):
    done = subprocess.run(
        [sys.executable, "-P", "-m", "workbench.flow.cli.main", "compress", ready.run.ref,
         "--max-drop", "0.05", "--max-size", "60kB", "--budget", "1s", "--json"],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["size_bytes"] <= 60_000
    assert found["found"]["is_within"]
    assert found["found"]["goal"]["max_size"] == 60_000


def test_a_disk_that_fills_up_ends_the_search_with_what_it_has(ready, monkeypatch):
    study = ready.space.study(ready.run, ready.data)
    whole, count = Blobs.put_file, []

    def filling(self, *arguments, **options):
        count.append(1)
        if len(count) > 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        return whole(self, *arguments, **options)

    monkeypatch.setattr(Blobs, "put_file", filling)
    best = study.search(max_drop=0.05, budget=60)
    assert "No space left on device" in best.found.ended
    assert "No space left on device" in best.found.words
    assert len(study.variants) >= 2
    assert best.size_bytes == min(v.size_bytes for v in study.variants if v.drop <= 0.05)
