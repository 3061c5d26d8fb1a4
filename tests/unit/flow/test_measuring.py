"""Measuring in a process of its own: it can be cancelled, and goes on with the next at once."""

from __future__ import annotations

import subprocess
import sys

import pytest

from workbench.core.errors import CancelledError
from workbench.flow.workspace import Workspace

ALONE = """
import sys
from pathlib import Path
from workbench.compression.study import StudyEngine
from workbench.data.dataset import open_dataset
from workbench.store import open_store
store = open_store(Path(sys.argv[1]))
record = store.studies.all()[-1]
data = open_dataset(store, record.dataset)
engine = StudyEngine(store, store.artifacts.get(record.model), data)
for recipe in sys.argv[2:]:
    print(engine.measure(recipe).size_bytes, "torch" in sys.modules)
"""


def test_a_recipe_that_changes_only_the_file_is_measured_without_pytorch(ready):
    files = ["cluster:16", "quantize_weights:8", "quantize_static", "half"]
    command = [sys.executable, "-c", ALONE, str(ready.space.store.home.root), *files, "prune:0.5"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    loaded = [line.split()[1] for line in done.stdout.splitlines()]
    assert loaded == ["False", "False", "False", "False", "True"]


def test_the_measuring_process_is_there_before_it_is_asked(ready):
    study = Workspace(ready.space.store.home.root).study(ready.run, ready.data)
    study.get_ready()
    process = study._work.worker._process
    study.get_ready()
    assert study.measure("half").size_bytes < study.baseline.size_bytes
    assert study._work.worker._process is process
    study._work.worker.close()


def test_a_cancelled_measurement_ends_and_its_process_takes_the_next(tmp_path):
    root = tmp_path / ".workbench"
    batch = Workspace(root, inline=True)
    data = batch.load("digits")
    batch.study(batch.train(data, family="linear", epochs=1, seed=0), data)
    study = Workspace(root).study(batch.store.studies.all()[0].ref)
    study.measure("prune:0.5")
    process = study._work.worker._process

    with pytest.raises(CancelledError, match="kept"):
        study.measure("prune:0.6 + cluster:16", on_event=lambda kind, data: study.cancel())
    assert study.measure("prune:0.7").recipe == "prune:0.7"
    assert study._work.worker._process is process
    assert [v.recipe for v in study.variants] == ["baseline", "prune:0.5", "prune:0.7"]
    study._work.worker.close()
