"""Checkpoints: the loop's state after an epoch, in one file written atomically. No pickle."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import safetensors
import safetensors.torch
import torch
from safetensors import SafetensorError

from workbench.core.errors import IntegrityError, StateError
from workbench.core.files import open_private
from workbench.core.host import sync_folder
from workbench.engine.callbacks import Callback, EpochReport, FitState
from workbench.store.checkpoints import FILE

if TYPE_CHECKING:
    from workbench.store.checkpoints import Checkpoints

__all__ = ["FILE", "Checkpoint", "Checkpointer", "load_checkpoint", "resumable_state"]

_PARTS = ("model", "optimizer", "best")
_LARGEST_SHARE = 0.01


@dataclass(frozen=True)
class Checkpoint:
    """A state together with the identity of the work it belongs to."""

    work: str
    state: FitState


def save_checkpoint(path: Path, checkpoint: Checkpoint, kept: Checkpoints | None = None) -> None:
    """Writes a checkpoint; a reader sees the old one or the new one, never a part.

    Args:
        path: Where to.
        checkpoint: What to write.
        kept: The workspace's, which seal it; None leaves it unsealed.
    """
    state = checkpoint.state
    tensors = {
        f"{part}/{name}": value.detach().cpu().contiguous().clone()
        for part in _PARTS
        for name, value in getattr(state, part).items()
    }
    facts = {
        "work": checkpoint.work,
        "epoch": state.epoch,
        "step": state.step,
        "best_epoch": state.best_epoch,
        "best_rank": state.best_rank,
        "history": [dict(row) for row in state.history],
    }
    content = safetensors.torch.save(tensors, {"state": json.dumps(facts)})
    if kept is None:
        _write_atomically(path, content)
    else:
        kept.replace(path, content, _write_atomically)


def load_checkpoint(path: Path) -> Checkpoint | None:
    """Reads a checkpoint; None if there is none.

    Raises:
        IntegrityError: The file is damaged.
    """
    if not path.exists():
        return None
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            facts: dict[str, Any] = json.loads(file.metadata()["state"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise IntegrityError(
            f"The checkpoint {path.name} is damaged: {error}.", hint="Start the training anew."
        ) from error
    state = FitState(
        epoch=facts["epoch"],
        step=facts["step"],
        best_epoch=facts["best_epoch"],
        best_rank=tuple(facts["best_rank"]),
        history=tuple(facts["history"]),
        **{part: _part(tensors, part) for part in _PARTS},
    )
    return Checkpoint(facts["work"], state)


def resumable_state(path: Path, work: str, kept: Checkpoints | None = None) -> FitState | None:
    """Returns the state to go on from; None if nothing was saved yet.

    Args:
        path: The checkpoint.
        work: Identity of config and data of the work to go on with.
        kept: The workspace's checkpoints, which know what was written; None takes it as it is.

    Raises:
        IntegrityError: The checkpoint was changed, or is damaged.
        StateError: The checkpoint belongs to other work.
    """
    if kept is not None:
        kept.check(path)
    checkpoint = load_checkpoint(path)
    if checkpoint is None:
        return None
    if checkpoint.work != work:
        raise StateError(
            "The checkpoint belongs to a training with other options or other data.",
            hint="Resume with the same options and data, or start a new run.",
        )
    return checkpoint.state


class Checkpointer(Callback):
    """Saves the state after an epoch, as often as costs at most a hundredth of the time.

    Args:
        path: Where to.
        work: Identity of config and data.
        kept: The workspace's checkpoints, which seal each; None for none.
    """

    def __init__(self, path: Path, work: str, kept: Checkpoints | None = None) -> None:
        self._path = path
        self._work = work
        self._kept = kept
        self._next = float("-inf")

    def on_epoch(self, report: EpochReport, state: Callable[[], FitState]) -> None:
        """Saves, but not after the last epoch: then the result itself is saved."""
        started = time.monotonic()
        if report.epoch == report.epochs or started < self._next:
            return
        save_checkpoint(self._path, Checkpoint(self._work, state()), self._kept)
        ended = time.monotonic()
        self._next = ended + (ended - started) / _LARGEST_SHARE


def _write_atomically(path: Path, content: bytes) -> None:
    aside = path.with_name(path.name + ".part")
    with open_private(aside, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)
    sync_folder(path.parent)


def _part(tensors: Mapping[str, torch.Tensor], part: str) -> dict[str, torch.Tensor]:
    return {
        name.removeprefix(f"{part}/"): value
        for name, value in tensors.items()
        if name.startswith(f"{part}/")
    }
