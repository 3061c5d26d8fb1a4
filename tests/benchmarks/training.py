"""Our training against a plain PyTorch loop with the same optimizer settings, on the digits cnn."""

from __future__ import annotations

import copy
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch

from tests.benchmarks.figure import Figure, in_turns, ratio
from workbench.data import load
from workbench.engine.schedules import rate_factor
from workbench.store import NullContext, open_store
from workbench.training.config import TrainConfig
from workbench.training.step import _network, train

_TIMES = 7
_EPOCHS = 2
_BATCH = 64


class _Silent(NullContext):
    def event(self, kind: str, **data: Any) -> None:
        """Remembers nothing."""


def figures(folder: Path) -> Iterator[Figure]:
    """Yields the figures."""
    torch.set_num_threads(1)
    data = load(open_store(folder), "digits", split=(0.5, 0.25, 0.25))
    config = TrainConfig(family="cnn", epochs=_EPOCHS, threads=1, batch_size=_BATCH)
    measures: dict[str, Callable[[], float]] = {
        "plain": lambda: _cpu(lambda: _plain(config, data)),
        "ours": lambda: _cpu(lambda: _ours(config, data)),
    }
    for measure in measures.values():
        measure()
    found = in_turns(measures, _TIMES)
    yield Figure("plain PyTorch loop, an epoch", median(found["plain"]) / _EPOCHS, "CPU-s")
    yield Figure("training, an epoch", median(found["ours"]) / _EPOCHS, "CPU-s")
    yield Figure("training / plain loop", ratio(found["ours"], found["plain"]), "×", 1.05)


def _cpu(work: Callable[[], Any]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def _ours(config: TrainConfig, data: Any) -> None:
    with tempfile.TemporaryDirectory() as folder:
        train(_Silent(Path(folder)), config, data)


def _plain(config: TrainConfig, data: Any) -> None:
    """What a person writes: AdamW, warm-up and cosine, clipping, best weights by validation."""
    network, _ = _network(config, data, None)
    inputs, targets = _tensors(data.train)
    val_inputs, val_targets = _tensors(data.val)
    steps = _EPOCHS * -(-len(inputs) // _BATCH)
    warmup = int(config.warmup * steps)
    decayed = [p for p in network.parameters() if p.ndim > 1]
    others = [p for p in network.parameters() if p.ndim <= 1]
    groups = [{"params": decayed}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=2e-3, weight_decay=config.weight_decay, fused=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer,
        lambda step: rate_factor(config.schedule, step, steps, warmup),
    )
    criterion = torch.nn.CrossEntropyLoss()
    best, kept = -1.0, {}
    for _ in range(_EPOCHS):
        network.train()
        order = torch.randperm(len(inputs))
        for begin in range(0, len(inputs), _BATCH):
            rows = order[begin : begin + _BATCH]
            optimizer.zero_grad()
            loss = criterion(network(inputs[rows]), targets[rows])
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            schedule.step()
        network.eval()
        with torch.no_grad():
            outputs = network(val_inputs)
            score = (outputs.argmax(1) == val_targets).float().mean().item()
            criterion(outputs, val_targets).item()
        if score > best:
            best, kept = score, copy.deepcopy(network.state_dict())
    network.load_state_dict(kept)


def _tensors(split: Any) -> tuple[torch.Tensor, torch.Tensor]:
    inputs, targets = split.batch(np.arange(len(split)))
    return torch.from_numpy(inputs), torch.from_numpy(np.asarray(targets))
