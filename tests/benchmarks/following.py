"""What a run's log, progress and control cost its training, by counting their CPU."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from statistics import median
from typing import Any

import torch

from tests.benchmarks.figure import Figure
from workbench.data import load
from workbench.store import RunContext, Store, open_store
from workbench.training.config import TrainConfig
from workbench.training.step import train

_TIMES = 5
_POLLS = 200
_POLL_S = 0.05
_EPOCHS = 4


class _Counted(RunContext):
    """A run's context that counts the CPU of what it does for those who follow."""

    spent_s = 0.0

    def event(self, kind: str, **data: Any) -> None:
        began = time.thread_time()
        super().event(kind, **data)
        self.spent_s += time.thread_time() - began

    def check(self) -> None:
        began = time.thread_time()
        super().check()
        self.spent_s += time.thread_time() - began


def figures(folder: Path) -> Iterator[Figure]:
    """Yields the figures."""
    torch.set_num_threads(1)
    store = open_store(folder)
    data = load(store, "digits", split=(0.5, 0.25, 0.25))
    config = TrainConfig(family="cnn", epochs=_EPOCHS, threads=1)
    rows = [_followed(store, config, data) for _ in range(_TIMES)]
    poll = _poll(store)
    shares = [row["spent"] / row["cpu"] + poll / _POLL_S for row in rows]
    yield Figure("training that is followed, an epoch", _middle(rows, "cpu") / _EPOCHS, "CPU-s")
    yield Figure(
        "log, progress and control, an epoch", 1e3 * _middle(rows, "spent") / _EPOCHS, "CPU-ms"
    )
    yield Figure("one look at the control row, 20 a second", 1e6 * poll, "CPU-µs")
    yield Figure("following / training", 100 * median(shares), "%", 2.0)


def _followed(store: Store, config: TrainConfig, data: Any) -> Mapping[str, float]:
    run = store.runs.create("train", {}, {})
    context = _Counted(store.runs, run.id)
    began = time.process_time()
    try:
        train(context, config, data)
        return {"cpu": time.process_time() - began, "spent": context.spent_s}
    finally:
        context.close()


def _poll(store: Store) -> float:
    (run, *_) = store.runs.list()
    began = time.thread_time()
    for _ in range(_POLLS):
        store.runs.control(run.id)
    return (time.thread_time() - began) / _POLLS


def _middle(rows: list[Mapping[str, float]], name: str) -> float:
    return median(row[name] for row in rows)
