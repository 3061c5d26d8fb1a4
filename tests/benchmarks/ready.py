"""A trained digits cnn in a workspace of its own, for the benchmarks that need a model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from workbench.flow.workspace import Workspace


def trained_cnn(folder: Path) -> tuple[Workspace, Any, Any]:
    """Returns an inline workspace, the digits, and a run of two epochs."""
    torch.set_num_threads(1)
    space = Workspace(folder, inline=True)
    data = space.load("digits", split=(0.5, 0.25, 0.25))
    return space, data, space.train(data, "cnn", epochs=2, threads=1)
