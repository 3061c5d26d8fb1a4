"""Measuring in a process of its own: it can be cancelled, and goes on with the next at once."""

from __future__ import annotations

import pytest

from workbench.core.errors import CancelledError
from workbench.flow.workspace import Workspace


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
