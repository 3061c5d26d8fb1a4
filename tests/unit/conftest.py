"""One small workspace for all tests of the panels: a trained run, a study, a version."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from workbench.flow.workspace import Workspace


@pytest.fixture(scope="session")
def road(tmp_path_factory) -> SimpleNamespace:
    workspace = Workspace(tmp_path_factory.mktemp("panels") / ".workbench", inline=True)
    data = workspace.load("digits")
    run = workspace.train(data, family="linear", epochs=2, seed=0)
    study = workspace.study(run, data)
    study.measure("half:fp16")
    version = workspace.register(study.measure("half:fp16"), "digits-linear")
    workspace.promote("digits-linear", version)
    return SimpleNamespace(workspace=workspace, data=data, run=run, study=study, version=version)
