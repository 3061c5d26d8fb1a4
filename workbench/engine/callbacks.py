"""What may watch the training loop: nothing here changes its result."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch

_BATCH_EVENT_S = 0.1


class Control(Protocol):
    """The part of a run's context that the loop obeys."""

    def check(self) -> None:
        """Raises `CancelledError` on stop; blocks during a pause."""


class Log(Protocol):
    """The part of a run's context that takes reports."""

    def log(self, step: int, **metrics: float) -> None:
        """Records metrics of one epoch."""

    def event(self, kind: str, **data: Any) -> None:
        """Records any other event."""

    def progress(self, done: int, total: int, note: str = "") -> None:
        """Records how far the work is."""


@dataclass(frozen=True)
class BatchReport:
    """One batch: counts from 1, loss in the loss's unit. `total` is 0 while unknown."""

    epoch: int
    step: int
    total: int
    loss: float


@dataclass(frozen=True)
class EpochReport:
    """One epoch: counts from 1, `metrics` holds losses, validation scores, rate and speed."""

    epoch: int
    epochs: int
    is_best: bool
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class FitState:
    """All that the loop needs to go on after an epoch as if it had never stopped.

    Batch order and random draws depend on (seed, epoch) only, so no generator state is needed.

    Attributes:
        epoch: Epochs done.
        step: Batches done.
        model: The model's state by name.
        optimizer: The optimizer's tensors by "<parameter number>.<name>".
        best: The best weights so far by name.
        best_epoch: Where they were reached, from 1.
        best_rank: (validation score, −validation loss) there.
        history: One row of metrics per epoch.
    """

    epoch: int
    step: int
    model: Mapping[str, torch.Tensor]
    optimizer: Mapping[str, torch.Tensor]
    best: Mapping[str, torch.Tensor]
    best_epoch: int
    best_rank: tuple[float, float]
    history: tuple[Mapping[str, float], ...]


class Callback:
    """Base of watchers: override what you need."""

    def on_batch(self, report: BatchReport) -> None:
        """Called after each batch; keep it far below a millisecond."""

    def on_epoch(self, report: EpochReport, state: Callable[[], FitState]) -> None:
        """Called after each epoch; `state` copies all weights, so call it only if needed."""


class Reporter(Callback):
    """Reports to a run: each epoch's metrics, progress, and the loss at most ten times a second."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._last = float("-inf")

    def on_batch(self, report: BatchReport) -> None:
        """Reports progress and the batch's loss if the last report is 0.1 s old."""
        moment = time.monotonic()
        if moment - self._last < _BATCH_EVENT_S and report.step != report.total:
            return
        self._last = moment
        self._log.event("batch", step=report.step, epoch=report.epoch, loss=report.loss)
        if report.total:
            self._log.progress(report.step, report.total, f"epoch {report.epoch}")

    def on_epoch(self, report: EpochReport, state: Callable[[], FitState]) -> None:
        """Reports the epoch's metrics."""
        self._log.log(report.epoch, **report.metrics)
