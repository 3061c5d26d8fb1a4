"""Workspaces that earlier versions made open, verify, serve and go on.

`older/NAME.tar.xz` was written by the version it names: two data sets, two trainings, a study with
two variants, two versions of a model, the second one its champion. Its key is of use for nothing
else.
"""

from __future__ import annotations

import sqlite3
import tarfile
from pathlib import Path

import numpy as np
import pytest

from workbench.core.errors import StateError
from workbench.data.dataset import open_dataset
from workbench.flow.doctor import examine
from workbench.flow.workspace import Workspace
from workbench.store import open_store
from workbench.store.migrations import SCRIPTS

OLDER = sorted(Path(__file__).with_name("older").glob("*.tar.xz"))


@pytest.fixture(scope="module", params=OLDER, ids=lambda path: path.name)
def space(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("older")
    with tarfile.open(request.param) as packed:
        packed.extractall(folder, filter="data")
    return Workspace(folder / ".workbench", inline=True)


def test_everything_is_there(space):
    assert [run.status for run in space.runs()] == ["succeeded", "succeeded"]
    assert [version.number for version in space.models()] == [1, 2]
    unfine = {row["what"] for row in examine(lambda: space.store) if row["fine"] != "yes"}
    assert unfine <= {"int8", "access"}, "of the machine, and that others could read it"
    for run in space.runs():
        assert len(open_dataset(space.store, run.record.inputs["data_ref"]).train)


def test_versions_verify_and_answer(space):
    version = space.version("model:signs@champion")
    assert version.number == 2
    space.verify(version)
    data = open_dataset(space.store, version.manifest["data"]["ref"])
    endpoint = space.serve(version)
    try:
        said = [answer.label for answer in endpoint.predict(np.asarray(data.val.inputs))]
    finally:
        endpoint.stop()
    right = [data.labels[target] for target in data.val.targets]
    assert np.mean([a == b for a, b in zip(said, right, strict=True)]) > 0.9


def test_the_study_goes_on(space):
    run = space.runs()[-1]
    study = space.study(run, run.record.inputs["data_ref"])
    assert {variant.recipe for variant in study.variants} >= {"prune:0.3", "quantize_dynamic:8"}
    assert study.metric == "accuracy"
    assert space.register(study.measure("prune:0.5"), "signs").number == 3


def test_one_of_a_newer_version_is_refused_in_words(space):
    with sqlite3.connect(space.store.home.database) as connection:
        connection.execute(f"PRAGMA user_version = {len(SCRIPTS) + 1}")
    with pytest.raises(StateError, match="newer"):
        open_store(space.store.home.root)
