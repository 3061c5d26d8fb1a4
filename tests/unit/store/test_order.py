"""What is newest is what came last, also when the clock was set back in between."""

from __future__ import annotations

import itertools
import time

import pytest

from workbench.core import clock
from workbench.serving import discovery
from workbench.serving.discovery import EndpointInfo


@pytest.fixture
def backward(monkeypatch):
    """Each look at the clock is an hour before the last one."""
    hours = itertools.count()
    monkeypatch.setattr(time, "time_ns", lambda: int((1.8e9 - 3600 * next(hours)) * 1e9))

    class Backward(clock.datetime):
        @classmethod
        def now(cls, tz=None):
            return cls.fromtimestamp(1.8e9 - 3600 * next(hours), tz)

    monkeypatch.setattr(clock, "datetime", Backward)


def test_runs_studies_variants_and_datasets_keep_their_order(store, backward):
    runs = [store.runs.create("train", {}, {}).id for _ in range(5)]
    assert runs == sorted(runs, reverse=True), "their ids follow the clock"
    assert [run.id for run in store.runs.list()] == runs[::-1]
    studies = [store.studies.open(str(i), "data", {}).id for i in range(4)]
    assert [study.id for study in store.studies.all()] == studies[::-1]
    for name in "abc":
        store.studies.add_variant(studies[0], name * 12, name, {})
        store.datasets.put(name * 12, name, "0" * 64)
    assert [v.recipe for v in store.studies.variants(studies[0])] == ["a", "b", "c"]
    assert [d.name for d in store.datasets.list()] == ["c", "b", "a"]


def test_endpoints_keep_their_order(tmp_path, backward, monkeypatch):
    monkeypatch.setattr(discovery, "is_alive", lambda info: True)
    for count, id_ in enumerate(["first", "second", "third"], start=9):
        info = EndpointInfo(id_, "http://x", "t", (), (), 1, str(count), clock.now(), "")
        discovery.write(info, tmp_path)
    assert [info.id for info in discovery.running(tmp_path)] == ["first", "second", "third"]
