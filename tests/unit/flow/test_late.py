"""A measurement that has only so much time is ended when that is over, heeding or not."""

import pytest

from workbench.compression.recipe import parse
from workbench.core.errors import CancelledError
from workbench.flow.measuring import MeasuringWorker


def test_a_task_that_is_late_is_ended_and_the_next_one_is_done(ready):
    study = ready.space.study(ready.run, ready.data)
    worker = MeasuringWorker(ready.space.store, study.record.id)
    slow = parse("prune_structured:0.5,epochs=1000")
    heard = []
    try:
        with pytest.raises(CancelledError):
            task = {"task": "measure", "recipe": slow.to_json(), "within_s": 0.5}
            worker.ask(task, lambda kind, data: heard.append(kind))
        found = worker.measure(parse("cluster:16").to_json(), lambda kind, data: None)
        assert found["recipe"] == "cluster:16"
    finally:
        worker.close()
    assert study.variants[0].is_baseline
    assert str(slow) not in {v.recipe for v in study.variants}
