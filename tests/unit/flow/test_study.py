"""Studies as the user holds them: measured once, remembered, opened anywhere."""

import json
import os
import signal
import subprocess
import sys

import pytest
from torch import nn

import workbench as wb
from workbench.flow.measuring import MeasuringWorker

ELSEWHERE = """
import json, sys
import workbench as wb
study = wb.study(sys.argv[1])
print(json.dumps([v.to_json() for v in study.variants]))
"""


def elsewhere(code, *arguments):
    done = subprocess.run(
        [sys.executable, "-P", "-c", code, *arguments],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_recipe_is_measured_once_and_remembered_in_every_process(ready):
    study = ready.space.study(ready.run, ready.data)
    assert [v.recipe for v in study.variants] == ["baseline"]
    first = study.measure("quantize_static")
    again = ready.space.study(ready.run).measure([{"kind": "quantize_static", "bits": 8}])
    assert again.to_json() == first.to_json(), "a second measurement would give other latencies"
    assert elsewhere(ELSEWHERE, study.ref) == [v.to_json() for v in study.variants]
    assert ready.space.study(ready.run.ref, ready.data.ref).ref == study.ref


def test_front_smallest_table_and_verdict(ready):
    study = ready.space.study(ready.run)
    for recipe in ("quantize_static", "quantize_dynamic", "half:fp16", "prune:0.9"):
        study.measure(recipe)
    front = study.front(x="size_bytes", y="score")
    sizes, scores = [v.size_bytes for v in front], [v.score for v in front]
    assert sizes == sorted(sizes)
    assert scores == sorted(scores)
    for variant in study.variants:
        assert any(f.size_bytes <= variant.size_bytes and f.score >= variant.score for f in front)
    best = study.smallest(max_drop=0.02)
    assert best.drop <= 0.02
    assert best.size_bytes < 0.5 * study.baseline.size_bytes
    assert best.path.stat().st_size == best.size_bytes
    assert best.accuracy == best.score
    assert "prune:0.9" in study.table()
    assert study.verdict(best)
    with pytest.raises(wb.InputError, match="size_bytes, stored_bytes"):
        study.front(x="size")


def test_recipes_that_cannot_be_are_refused_with_the_nearest_name(ready):
    study = ready.space.study(ready.run)
    with pytest.raises(wb.WorkbenchError, match="did you mean 'quantize_static'"):
        study.measure("quantise_static")
    assert [v.recipe for v in study.variants] == ["baseline"]


class Twice(nn.Module):
    """A class of the user's own, with weights no family knows."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(64, 24)
        self.second = nn.Linear(24, 10)

    def forward(self, x):
        return self.second(self.first(x.flatten(1)).relu())


@pytest.mark.full  # by default `test_compress_takes_a_module_of_ones_own`
def test_a_module_of_ones_own_is_compressed_by_the_worker(ready):
    run = wb.import_model(Twice(), ready.data)
    study = wb.study(run, ready.data)
    pruned = study.measure("prune:0.5")
    assert pruned.stored_bytes < study.baseline.stored_bytes
    assert [v["recipe"] for v in elsewhere(ELSEWHERE, study.ref)] == ["baseline", "prune:0.5"]


def test_a_killed_or_interrupted_worker_is_told_and_the_next_measurement_works(ready):
    study = ready.space.study(ready.run)
    worker = MeasuringWorker(ready.space.store, study.ref.removeprefix("study:"))
    processes = []

    def kill(kind, data):
        os.kill(worker._process.pid, signal.SIGKILL)

    def interrupt(kind, data):
        processes.append(worker._process)
        raise KeyboardInterrupt

    with pytest.raises(wb.RunFailedError, match="ended without an answer"):
        worker.measure(["half:fp16"], kill)
    try:
        figures = worker.measure(["half:fp16"], lambda kind, data: None)
        assert figures["size_bytes"] < study.baseline.size_bytes
        with pytest.raises(KeyboardInterrupt):
            worker.measure(["prune:0.5"], interrupt)
        assert processes[0].poll() is not None, "an interrupted measurement does not go on"
    finally:
        worker.close()


def test_a_recipe_is_estimated_before_and_reported_after_it_is_measured(ready):
    study = ready.space.study(ready.run, ready.data)
    said = study.estimate("quantize_static")
    assert said.score.low <= said.score.value <= said.score.high
    measured = study.measure("quantize_static")
    assert abs(said.size_bytes.value / measured.size_bytes - 1) < 0.005
    assert study.estimate("quantize_static").score.value == measured.score
    assert study.estimator.report().measured >= 1


def test_an_estimate_knows_what_another_process_measured_a_moment_ago(ready):
    study = ready.space.study(ready.run, ready.data)
    before = study.estimate("prune:0.9")
    assert before.reason != "measured"
    code = "import sys, workbench as wb; wb.Workspace(sys.argv[1], inline=True).study(sys.argv[2])"
    code += ".measure('prune:0.9')"
    command = [sys.executable, "-c", code, str(ready.space.store.home.root), study.ref]
    subprocess.run(command, check=True, timeout=120)
    after = study.estimate("prune:0.9")
    assert after.reason == "measured"
    assert after.score.value == study.measure("prune:0.9").score


def test_what_is_known_is_not_read_again_while_nothing_is_written(ready, monkeypatch):
    study = ready.space.study(ready.run, ready.data)
    study.measure("half")
    study.estimate("prune:0.5")  # keeps account of what it would have said of the variants
    said = study.estimate("prune:0.5")
    monkeypatch.setattr(type(ready.space.store.studies), "variants", None)
    monkeypatch.setattr(type(study.estimator), "observe", None)
    assert study.estimate("prune:0.5") == said
    assert [variant.recipe for variant in study.variants] == ["baseline", "half:fp16"]


def test_estimates_get_better_without_being_told_to(ready):
    study = ready.space.study(ready.run, ready.data)
    study._work.inline = False
    first = study.estimate("prune:0.5")
    try:
        assert study.refining.wait(120)
        assert study.refining.error is None
        assert study.estimator.is_refined
        assert "gradients" in first.reason
        assert "gradients" not in study.estimate("prune:0.5").reason
    finally:
        study.refining.stop()
    again = ready.space.study(study.ref)
    assert again.estimator.is_refined, "another process finds the table"
    assert again.estimator.report().measured == study.estimator.report().measured
