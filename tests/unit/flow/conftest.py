"""A trained model to begin with: made once, copied into the workspace of each test."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import Any

import pytest

from workbench.flow.workspace import Workspace


@dataclass
class Ready:
    """An inline workspace with the digits and a small network trained on them."""

    space: Workspace
    data: Any
    run: Any


@pytest.fixture(scope="session")
def _trained(tmp_path_factory):
    root = tmp_path_factory.mktemp("trained") / ".workbench"
    space = Workspace(root, inline=True)
    data = space.load("digits", split=(0.5, 0.25, 0.25))
    run = space.train(data, "mlp", epochs=4, threads=1, hidden=[32])
    space.study(run, data)  # exported and its baseline measured
    return root, data.ref, run.ref


@pytest.fixture
def ready(_trained, tmp_path) -> Ready:
    """The workspace that `wb.*` finds, too: WORKBENCH_HOME names it in every test."""
    root, data, run = _trained
    shutil.copytree(root, tmp_path / ".workbench")
    space = Workspace(tmp_path / ".workbench", inline=True)
    return Ready(space, space.load(data), space.run(run))
