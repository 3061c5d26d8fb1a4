"""The training step: a dataset and a config become a network, saved with all it takes to use it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from workbench.core.config import Config, saved_config
from workbench.core.errors import CancelledError, UnsupportedError
from workbench.core.ids import digest_json
from workbench.core.module_call import taken
from workbench.core.records import Description
from workbench.core.signature import Signature, TensorSpec, is_plain
from workbench.engine.batch_size import affordable_batch
from workbench.engine.callbacks import Callback, EpochReport, FitState, Reporter
from workbench.engine.loop import epoch_seed, fit
from workbench.engine.losses import Loss, balanced_weights, target_std
from workbench.engine.threads import default_threads
from workbench.families import FAMILIES
from workbench.families.network import Answering, Named, Normalized, save_network
from workbench.tasks import TASKS, LossOptions
from workbench.training.checkpoint import FILE, Checkpointer, resumable_state
from workbench.training.config import TrainConfig, checked_class_weights
from workbench.training.module_check import check_module
from workbench.training.module_signature import signature_of

if TYPE_CHECKING:
    from workbench.data import Dataset
    from workbench.store import Artifact, Context, Store

OUTPUT = "model"
_VAL_BATCH = 256
_FIRST = ("cnn", "unet", "mlp")


@dataclass(frozen=True)
class Trained:
    """What came of a training.

    Attributes:
        module: The network with the best weights, in evaluation mode.
        description: What it is; without a family for a module of the user's own.
        artifact: The saved network; None for a module of the user's own, which lives as ONNX.
        metrics: Final metrics.
        history: One row of metrics per epoch.
    """

    module: Answering
    description: Description
    artifact: Artifact | None
    metrics: Mapping[str, float]
    history: tuple[Mapping[str, float], ...]


def train(
    context: Context,
    config: TrainConfig,
    dataset: Dataset,
    store: Store | None = None,
    module: nn.Module | None = None,
    on_stop: Callable[[Trained], None] | None = None,
) -> Trained:
    """Trains a network; goes on from the checkpoint in `context.directory` if there is one.

    Losses and scores of each epoch are logged; the weights with the best validation score are
    kept. The test split is never read.

    Args:
        context: The run; gets metrics `val_…`, `params`, `best_epoch`, `train_seconds`,
            `train_cpu_seconds`, `train_energy_j` where a counter can be read, and the
            output "model".
        config: What to train and how.
        dataset: What to learn from.
        store: Where the network is saved; None saves nothing.
        module: A module of the user's own instead of a family's network; trained in place, inside
            a `Normalized` or `Named`, and not saved here.
        on_stop: Called with the best so far before a stop is passed on.

    Raises:
        CancelledError: Stopped; what was best so far is saved and recorded first.
        UnsupportedError: The family cannot take this dataset, with the reason.
        DivergedError: The loss became infinite or NaN.
    """
    network, description = _network(config, dataset, module)
    family = description.family
    work = digest_json({"config": config.to_json(), "data": dataset.fingerprint})
    checkpoint = context.directory / FILE
    kept = None if store is None else store.checkpoints
    state = resumable_state(checkpoint, work, kept)
    watch = _Watch(state)
    callbacks = [Reporter(context), Checkpointer(checkpoint, work, kept), watch]
    rate = None if family is None else FAMILIES.get(family["kind"]).rate
    context.event("training", **_facts(config, description, network))

    def finish() -> Trained:
        return _finished(context, network, description, watch, store)

    try:
        _fit(context, config, dataset, network, rate, state, callbacks)
    except CancelledError:
        stopped = finish()
        if on_stop is not None:
            on_stop(stopped)
        raise
    trained = finish()
    if kept is not None:
        kept.remove(checkpoint)
    checkpoint.unlink(missing_ok=True)
    return trained


def describe(
    dataset: Dataset, family: Mapping[str, Any] | None, tensors: Signature | None = None
) -> Description:
    """Returns the description of a network for `dataset`.

    Args:
        dataset: What it is trained on.
        family: Saved config of its family; None if it has none.
        tensors: What it takes and gives; by default all that the data have, and the task's answer.
    """
    return Description(
        task=dataset.task,
        output=TASKS.get(dataset.task).output_kind(None, dataset.labels),
        labels=tuple(dataset.labels),
        signature=tensors or Signature(dataset.signature, (_answer(dataset),)),
        modality=dataset.modality,
        preprocessing=saved_config(dataset.modality, dataset.preprocessing),
        family=family,
    )


def describe_module(module: nn.Module, dataset: Dataset) -> Description:
    """Returns the description of a module of the user's own that works on `dataset`, tried on it.

    Raises:
        InputError: It fails, or answers in another shape than the task needs.
    """
    return describe(dataset, None, signature_of(module, dataset.train, output_shape(dataset)))


def output_shape(dataset: Dataset) -> tuple[int, ...]:
    """Returns the shape of a network's answer to one sample of `dataset`."""
    return TASKS.get(dataset.task).output_shape(dataset.labels, dataset.train.targets.shape[1:])


def default_family(dataset: Dataset) -> str:
    """Returns the family to start with: the first of a few that fits the data."""
    fitting = (key for key in _FIRST if _misfit(key, dataset) is None)
    return next(fitting, _FIRST[-1])


def _misfit(key: str, dataset: Dataset) -> str | None:
    return FAMILIES.get(key).fits(dataset.signature, dataset.task)


def _answer(dataset: Dataset) -> TensorSpec:
    return TensorSpec("output", "float32", ("batch", *output_shape(dataset)))


class _Watch(Callback):
    """Remembers the curve, also when training is stopped."""

    def __init__(self, state: FitState | None) -> None:
        self.rows = list(state.history) if state else []
        self.best_epoch = state.best_epoch if state else 0

    def on_epoch(self, report: EpochReport, state: Callable[[], FitState]) -> None:
        self.rows.append(report.metrics)
        if report.is_best:
            self.best_epoch = report.epoch


def _network(
    config: TrainConfig, dataset: Dataset, module: nn.Module | None
) -> tuple[Answering, Description]:
    """Returns the network to train, and what it is (without a family if it is the user's own)."""
    if module is not None:
        network = _own(module, dataset)
        return network, describe_module(network, dataset)
    key = config.family or default_family(dataset)
    family = FAMILIES.get(key)
    options: Config = FAMILIES.parse(key, config.options)
    reason = _misfit(key, dataset)
    if reason is not None:
        raise UnsupportedError(
            f"The family '{key}' cannot learn from {dataset.ref}: {reason}",
            hint=_fitting_words(dataset),
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        net = family.build(options, dataset.sample_shape, output_shape(dataset)[0])
    return _wrapped(net, dataset), describe(dataset, saved_config(key, options))


def _fitting_words(dataset: Dataset) -> str:
    fitting = [key for key in FAMILIES if _misfit(key, dataset) is None]
    if fitting:
        return f"Families that fit: {', '.join(fitting)}. `workbench methods families` lists all."
    names = ", ".join(spec.name for spec in dataset.signature)
    return (
        "No family fits; a module of your own does: wb.train(data, module), whose forward takes "
        f"some of {names} by name."
    )


def _own(module: nn.Module, dataset: Dataset) -> Answering:
    if isinstance(module, Answering):
        return module
    if is_plain(dataset.signature):
        check_module(module, dataset.sample_shape, output_shape(dataset))
    return _wrapped(module, dataset)


def _wrapped(net: nn.Module, dataset: Dataset) -> Answering:
    scale = TASKS.get(dataset.task).scale(dataset.train.targets) or ()
    if dataset.normalization is not None and is_plain(dataset.signature):
        return Normalized(net, *dataset.normalization, *scale)
    return Named(net, taken(net, [spec.name for spec in dataset.signature]), *scale)


def _fit(
    context: Context,
    config: TrainConfig,
    dataset: Dataset,
    network: Answering,
    rate: float | None,
    state: FitState | None,
    callbacks: list[Callback],
) -> None:
    batch_size = config.batch_size_for(len(dataset.train), (dataset.train.sample_size,))

    def train_batches(epoch: int) -> Iterable[tuple[Any, Any]]:
        return dataset.train.batches(batch_size, seed=epoch_seed(config.seed, epoch))

    def val_batches() -> Iterable[tuple[Any, Any]]:
        return dataset.val.batches(affordable_batch((dataset.val.sample_size,), _VAL_BATCH))

    fit(
        network,
        train_batches,
        val_batches if len(dataset.val) else None,
        config.fit_config(rate),
        task=dataset.task,
        context=context,
        loss=_loss(config, dataset, network),
        callbacks=callbacks,
        state=state,
        steps_per_epoch=math.ceil(len(dataset.train) / batch_size)
        if dataset.train.is_padded
        else None,
    )


def _loss(config: TrainConfig, dataset: Dataset, network: Answering) -> Loss:
    task, weights = TASKS.get(dataset.task), config.class_weights
    if weights == "balanced":
        weights = balanced_weights(task.counts(dataset.train.targets, dataset.labels))
    elif weights is not None and dataset.labels:
        weights = checked_class_weights(weights, len(dataset.labels))
    return task.loss(LossOptions(weights, config.label_smoothing, target_std(network)))


def _facts(config: TrainConfig, description: Description, network: Answering) -> dict[str, Any]:
    family = description.family
    return {
        "family": None if family is None else family["kind"],
        "params": _count(network),
        "epochs": config.epochs,
        "threads": config.threads or default_threads(),
        "device": config.device,
    }


def _finished(
    context: Context,
    network: Answering,
    description: Description,
    watch: _Watch,
    store: Store | None,
) -> Trained:
    """Saves the network, which holds the best weights, and records metrics and output."""
    network.to("cpu")
    best = watch.rows[watch.best_epoch - 1] if watch.best_epoch else {}
    metrics = {name: value for name, value in best.items() if name.startswith("val_")}
    metrics |= {
        "params": float(_count(network)),
        "best_epoch": float(watch.best_epoch),
        "epochs": float(len(watch.rows)),
        "train_seconds": sum(row["seconds"] for row in watch.rows),
        "train_cpu_seconds": sum(row.get("cpu_seconds", 0.0) for row in watch.rows),
    }
    if watch.rows and all("energy_j" in row for row in watch.rows):
        metrics["train_energy_j"] = sum(row["energy_j"] for row in watch.rows)
    artifact = None
    if store is not None and isinstance(network, Normalized) and description.family is not None:
        artifact = save_network(store, network, description)
        context.output(OUTPUT, artifact)
    context.set_metrics(**metrics)
    return Trained(network, description, artifact, metrics, tuple(watch.rows))


def _count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())
