"""Networks trained once a process on digits, and studies of them. Real data, seeded."""

from __future__ import annotations

import functools
import shutil
import tempfile
from atexit import register
from pathlib import Path

from workbench.compression.study import StudyEngine
from workbench.core.optional import require
from workbench.data import load
from workbench.store import NullContext, Store, open_store
from workbench.store.artifacts import Artifact
from workbench.training.config import TrainConfig
from workbench.training.step import train


@functools.cache
def home() -> Store:
    """A workspace for this process."""
    require("torch", for_="tests").set_num_threads(1)
    folder = tempfile.mkdtemp(prefix="workbench-tests-")
    register(shutil.rmtree, folder, ignore_errors=True)
    return open_store(Path(folder))


@functools.cache
def digits():
    """1,797 images of 8×8, split half, quarter, quarter."""
    return load(home(), "digits", split=(0.5, 0.25, 0.25), seed=0)


@functools.cache
def network(family: str, epochs: int, **options: int) -> Artifact:
    """A trained network's artifact."""
    values = {"family": family, "options": options, "epochs": epochs, "seed": 0}
    context = NullContext(Path(home().home.root), home().artifacts)
    train(context, TrainConfig.parse(values, what="training"), digits(), home())
    return context.outputs["model"]


@functools.cache
def cnn_study() -> StudyEngine:
    """A study of the default CNN, trained for 4 epochs."""
    return StudyEngine(home(), network("cnn", 4), digits())


@functools.cache
def resnet_study() -> StudyEngine:
    """A study of a ResNet-14, trained for 4 epochs."""
    return StudyEngine(home(), network("resnet", 4, depth=14), digits())


@functools.cache
def imported_study() -> StudyEngine:
    """A study of the CNN's own ONNX file, as if it came from elsewhere."""
    baseline = cnn_study().baseline()
    return StudyEngine(home(), home().artifacts.get(baseline.artifact), digits())
