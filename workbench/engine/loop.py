"""The one training loop: fit and evaluate. No files, no UI; who wants to watch gives a callback."""

from __future__ import annotations

import hashlib
import math
import operator
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from workbench.core.energy import metered
from workbench.core.errors import CancelledError, InputError, RunFailedError
from workbench.core.module_call import call
from workbench.engine.callbacks import BatchReport, Callback, Control, EpochReport, FitState
from workbench.engine.config import FitConfig
from workbench.engine.losses import Loss, default_loss
from workbench.engine.optimizers import (
    make_optimizer,
    optimizer_tensors,
    restore_optimizer,
    set_rate,
)
from workbench.engine.schedules import rate_factor
from workbench.engine.tensors import device_of, model_inputs, output_tensor, target_tensor
from workbench.engine.threads import torch_threads
from workbench.tasks import METRICS, TASKS

Batches = Iterable[tuple[Any, Any]]


class DivergedError(RunFailedError):
    """The loss became infinite or NaN."""

    code = "diverged"


@dataclass(frozen=True)
class FitResult:
    """What came of fitting. The model itself holds the best weights.

    Attributes:
        history: One row of metrics per epoch; "seconds" leaves pauses out.
        best_epoch: The epoch the weights are from, from 1; 0 if none was finished.
        is_stopped_early: Whether early stopping ended it.
    """

    history: tuple[Mapping[str, float], ...]
    best_epoch: int
    is_stopped_early: bool


def epoch_seed(seed: int, epoch: int) -> int:
    """Returns the seed (32 bits) of one epoch's batch order and random draws."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{epoch}".encode()).digest()[:4], "big")


def fit(
    model: nn.Module,
    train_batches: Callable[[int], Batches],
    val_batches: Callable[[], Batches] | None,
    config: FitConfig,
    *,
    task: str,
    context: Control | None = None,
    loss: Loss | None = None,
    callbacks: Sequence[Callback] = (),
    state: FitState | None = None,
    steps_per_epoch: int | None = None,
) -> FitResult:
    """Trains `model` in place and leaves the best weights in it, in evaluation mode.

    The result is a function of the model's weights, the batches, the config and the number of
    threads: going on from the `state` of any epoch gives bit-equal weights.

    Args:
        model: Takes a batch's tensors, one [N, *sample_shape] or those it names of several; gives
            what the task wants [N, …], alone or among several outputs.
        train_batches: Called with the epoch (from 0), gives (inputs, targets) in NumPy or torch.
            To be resumable, its order must depend on the epoch only: see `epoch_seed`.
        val_batches: Gives the validation batches; without, the last weights count as the best.
        config: How to fit.
        task: What is predicted.
        context: Asked at each batch whether to stop or pause.
        loss: Of outputs and targets; by default the task's.
        callbacks: Watchers.
        state: Where to go on; None starts anew.
        steps_per_epoch: Batches of an epoch; by default the length of the first epoch's iterable,
            and if that has none, schedules move once per epoch.

    Raises:
        CancelledError: Stopped through `context`; the model holds the best weights so far.
        DivergedError: The loss became infinite or NaN.
        InputError: There is nothing to train, or outputs and targets do not fit together.
    """
    with torch_threads(config.threads), torch.random.fork_rng(enabled=True):
        work = _Fit(model, config, task, context, loss, tuple(callbacks), steps_per_epoch)
        return work.run(train_batches, val_batches, state)


def evaluate(
    model: nn.Module, batches: Batches, task: str, *, loss: Loss | None = None
) -> dict[str, float]:
    """Returns "loss", then the task's metrics, over all batches.

    Args:
        model: As in `fit`.
        batches: (inputs, targets) pairs.
        task: What is predicted.
        loss: Of outputs and targets; by default the one `fit` uses, without class weights.
    """
    outputs, targets = predict(model, batches)
    value = (loss or default_loss(task, model))(
        torch.from_numpy(outputs).to(device_of(model)),
        target_tensor(targets, task, device_of(model)),
    )
    return {
        "loss": float(value),
        **{key: METRICS.get(key).compute(outputs, targets) for key in shown_metrics(task, targets)},
    }


def shown_metrics(task: str, targets: NDArray[Any]) -> tuple[str, ...]:
    """Returns the keys of the metrics of each epoch; the best epoch is chosen by the first."""
    return TASKS.get(task).metrics(labeled=targets.dtype.kind != "f")


def predict(model: nn.Module, batches: Batches) -> tuple[NDArray[np.float32], NDArray[Any]]:
    """Returns outputs float32 [N, …] and targets [N] over all batches."""
    outputs, targets = [], []
    for inputs, wanted in batches:
        outputs.append(outputs_of(model, inputs))
        targets.append(np.asarray(wanted))
    if not outputs:
        raise InputError("There is no batch to evaluate.", hint="Is the split empty?")
    return np.concatenate(outputs), np.concatenate(targets)


def outputs_of(model: nn.Module, inputs: Any) -> NDArray[np.float32]:
    """Returns the model's outputs float32 [N, …] for one batch, in evaluation mode."""
    was_training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            output = output_tensor(call(model, model_inputs(inputs, model)))
    finally:
        model.train(was_training)
    array: NDArray[np.float32] = output.float().cpu().numpy()
    return array


class _Fit:
    """One call of `fit`."""

    def __init__(
        self,
        model: nn.Module,
        config: FitConfig,
        task: str,
        context: Control | None,
        loss: Loss | None,
        callbacks: tuple[Callback, ...],
        steps_per_epoch: int | None,
    ) -> None:
        self.model = model.to(config.device)
        self.config = config
        self.task = task
        self.device = torch.device(config.device)
        self.check = context.check if context is not None else _never
        self.loss = loss or default_loss(task, model, config.label_smoothing)
        self.callbacks = callbacks
        self.steps_per_epoch = steps_per_epoch or 0
        self.optimizer = make_optimizer(model, config)
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        self.needs_pairs = any(isinstance(m, _BatchNorm) for m in model.modules())
        self.epoch = self.step = self.best_epoch = 0
        self.best: dict[str, torch.Tensor] = {}
        self.best_rank = (-math.inf, -math.inf)
        self.history: list[Mapping[str, float]] = []
        self.paused_s = self.last_rate = 0.0

    def run(
        self,
        train_batches: Callable[[int], Batches],
        val_batches: Callable[[], Batches] | None,
        state: FitState | None,
    ) -> FitResult:
        if state is not None:
            self.restore(state)
        try:
            while self.epoch < self.config.epochs and not self.is_stale:
                self.run_epoch(train_batches, val_batches)
        except CancelledError:
            self.keep_best()
            raise
        self.keep_best()
        return FitResult(tuple(self.history), self.best_epoch, self.is_stale)

    @property
    def is_stale(self) -> bool:
        patience = self.config.early_stopping
        return patience is not None and self.epoch - self.best_epoch >= patience

    def run_epoch(
        self,
        train_batches: Callable[[int], Batches],
        val_batches: Callable[[], Batches] | None,
    ) -> None:
        torch.manual_seed(epoch_seed(self.config.seed, self.epoch))
        started, self.paused_s = time.perf_counter(), 0.0
        with metered() as spent:
            row, rank = self.trained_and_evaluated(train_batches, val_batches, started)
        self.epoch += 1
        row["seconds"] = time.perf_counter() - started - self.paused_s
        row["cpu_seconds"] = spent.cpu_seconds
        if spent.energy_j is not None:
            row["energy_j"] = spent.energy_j
        self.history.append(row)
        self.report(rank)

    def trained_and_evaluated(
        self,
        train_batches: Callable[[int], Batches],
        val_batches: Callable[[], Batches] | None,
        started: float,
    ) -> tuple[dict[str, float], tuple[float, float]]:
        """Returns the figures of this epoch, and by what it is ranked."""
        train_loss, samples = self.train(train_batches(self.epoch))
        seconds = time.perf_counter() - started - self.paused_s
        row = {"train_loss": train_loss, "lr": self.last_rate}
        rank = (float(self.epoch), 0.0)
        if val_batches is not None:
            found = evaluate(self.model, self.checked(val_batches()), self.task, loss=self.loss)
            if not math.isfinite(found["loss"]):
                raise self.diverged(found["loss"])
            row |= {f"val_{name}": value for name, value in found.items()}
            rank = (_goodness(found), -found["loss"])
        row["samples_per_s"] = samples / max(seconds, 1e-9)
        return row, rank

    def train(self, batches: Batches) -> tuple[float, int]:
        """Trains one epoch; returns the mean loss and the number of samples."""
        self.model.train()
        self.steps_per_epoch = self.steps_per_epoch or operator.length_hint(batches, 0)
        total, samples = 0.0, 0
        for inputs, targets in self.checked(batches):
            if len(targets) == 1 and self.needs_pairs:
                continue  # batch norm has no variance over one sample
            value = self.train_batch(inputs, targets)
            total += value * len(targets)
            samples += len(targets)
        if not samples:
            raise InputError("There is no batch to train on.", hint="Is the training split empty?")
        return total / samples, samples

    def train_batch(self, inputs: Any, targets: Any) -> float:
        self.last_rate = self.rate()
        set_rate(self.optimizer, self.last_rate)
        wanted = target_tensor(targets, self.task, self.device)
        with self.autocast():
            output = output_tensor(call(self.model, model_inputs(inputs, self.model)))
        loss = self.loss(output.float(), wanted)
        value = loss.item()
        if not math.isfinite(value):
            raise self.diverged(value)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        if self.config.grad_clip is not None:
            nn.utils.clip_grad_norm_(self.parameters, self.config.grad_clip)
        self.optimizer.step()
        self.step += 1
        for callback in self.callbacks:
            total = self.steps_per_epoch * self.config.epochs
            callback.on_batch(BatchReport(self.epoch + 1, self.step, total, value))
        return value

    def autocast(self) -> AbstractContextManager[Any]:
        if self.config.precision == "float32":
            return nullcontext()
        return torch.autocast(self.device.type, dtype=torch.bfloat16)

    def rate(self) -> float:
        config, per_epoch = self.config, self.steps_per_epoch
        step, total = (self.step, per_epoch * config.epochs)
        if not per_epoch:
            step, total = self.epoch, config.epochs
        warmup = int(config.warmup * total)
        return config.rate * rate_factor(config.schedule, step, total, warmup)

    def checked(self, batches: Batches) -> Batches:
        """Yields the batches, obeying stop and pause before each."""
        for batch in batches:
            asked = time.perf_counter()
            self.check()
            self.paused_s += time.perf_counter() - asked
            yield batch

    def report(self, rank: tuple[float, float]) -> None:
        is_best = rank > self.best_rank
        if is_best:
            self.best, self.best_rank = _copy(self.model), rank
            self.best_epoch = self.epoch
        report = EpochReport(self.epoch, self.config.epochs, is_best, self.history[-1])
        for callback in self.callbacks:
            callback.on_epoch(report, self.state)

    def keep_best(self) -> None:
        if self.best:
            self.model.load_state_dict(self.best)
        self.model.eval()

    def state(self) -> FitState:
        return FitState(
            epoch=self.epoch,
            step=self.step,
            model=_copy(self.model),
            optimizer=optimizer_tensors(self.optimizer),
            best=dict(self.best),
            best_epoch=self.best_epoch,
            best_rank=self.best_rank,
            history=tuple(self.history),
        )

    def restore(self, state: FitState) -> None:
        self.model.load_state_dict(state.model)
        restore_optimizer(self.optimizer, state.optimizer)
        self.epoch, self.step = state.epoch, state.step
        self.best, self.best_rank = dict(state.best), state.best_rank
        self.best_epoch = state.best_epoch
        self.history = list(state.history)

    def diverged(self, value: float) -> DivergedError:
        return DivergedError(
            f"Training diverged: the loss became {value} in epoch {self.epoch + 1}, "
            f"batch {self.step + 1}, at a learning rate of {self.last_rate:.2g}.",
            hint=f"Try a lower lr, such as {self.config.rate / 10:.2g}, grad_clip=1, "
            "or check the inputs for huge values.",
            context={"epoch": self.epoch + 1, "step": self.step + 1},
        )


def _never() -> None:
    """Stands in for a context: nobody can stop this run."""


def _goodness(found: Mapping[str, float]) -> float:
    """Returns the first metric of an evaluation, so that more is better."""
    key = next(name for name in found if name != "loss")
    return found[key] if METRICS.get(key).higher_is_better else -found[key]


def _copy(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in model.state_dict().items()}
