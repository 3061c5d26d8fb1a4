import time

import pytest

from workbench.engine.callbacks import BatchReport, EpochReport, Reporter
from workbench.store import NullContext


def test_the_loss_is_reported_at_most_ten_times_a_second(tmp_path, monkeypatch):
    context = NullContext(tmp_path)
    reporter = Reporter(context)
    clock = iter(i * 0.01 for i in range(1000))
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    for step in range(1, 101):
        reporter.on_batch(BatchReport(epoch=1, step=step, total=200, loss=0.5))
    batches = [data for kind, data in context.events if kind == "batch"]
    assert 9 <= len(batches) <= 11
    assert batches[0] == {"step": 1, "epoch": 1, "loss": 0.5}
    reporter.on_batch(BatchReport(epoch=2, step=200, total=200, loss=0.4))
    assert context.events[-1] == ("progress", {"done": 200, "total": 200, "note": "epoch 2"})
    assert ("progress", {"done": 1, "total": 200, "note": "epoch 1"}) in context.events


def test_each_epoch_is_reported(tmp_path):
    context = NullContext(tmp_path)
    report = EpochReport(2, 3, True, {"train_loss": 0.25})
    Reporter(context).on_epoch(report, lambda: pytest.fail("weights are not copied for a report"))
    assert context.events == [("metrics", {"step": 2, "train_loss": 0.25})]
