"""Quick looks: recipes built as for a measurement, but scored on a few hundred samples, untimed."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from workbench.compression.effects import shared_key
from workbench.compression.recipe import Recipe, parse
from workbench.compression.study import StudyEngine
from workbench.compression.treatments import Treatment
from workbench.evaluation import METRICS
from workbench.exporting.graph import save_graph
from workbench.runtime.session import open_session

SAMPLES = 512
_MIXED = 240
_LOWEST, _HIGHEST = 1e-5, 30.0


@dataclass(frozen=True)
class Look:
    """What was seen: the drop in points (larger is worse), paired, on `samples` samples."""

    recipe: Recipe
    drop: float
    samples: int

    def to_json(self) -> dict[str, Any]:
        """Returns the look as JSON-able values."""
        return {"recipe": self.recipe.to_json(), "drop": self.drop, "samples": self.samples}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Look:
        """Rebuilds a look from `to_json`."""
        return cls(parse(data["recipe"]), data["drop"], data["samples"])


def quick_look(engine: StudyEngine, recipe: Recipe, samples: int = SAMPLES) -> Look:
    """Returns how far the score drops on some validation samples."""
    split = engine.dataset.val
    indices = np.unique(np.linspace(0, len(split) - 1, min(samples, len(split))).astype(int))
    inputs, targets = split.batch(indices)
    before = engine.outputs_of_baseline()[indices]
    with tempfile.TemporaryDirectory() as folder:
        path = save_graph(engine.build(recipe).graph, Path(folder) / "look.onnx")
        after = open_session(path).run(inputs)
    metric = METRICS.get(engine.metric)
    change = metric.compute(before, targets) - metric.compute(after, targets)
    return Look(recipe, 100 * float(change if metric.higher_is_better else -change), len(indices))


def candidates(names: Sequence[str], choices: Sequence[Treatment], seed: int) -> list[Recipe]:
    """Returns uniform recipes of each treatment, and mixed ones of every strength.

    Args:
        names: Layers.
        choices: Treatments.
        seed: For the mixtures.
    """
    rng = np.random.default_rng(seed)
    found = [Recipe(layers=dict.fromkeys(names, steps)) for steps in choices]
    for _ in range(_MIXED):
        share = rng.uniform(0.1, 1.0)
        palette = _palette(choices, rng)
        layers = {
            name: palette[int(rng.integers(len(palette)))] for name in names if rng.random() < share
        }
        if layers:
            found.append(Recipe(layers=layers))
    return found


def _palette(choices: Sequence[Treatment], rng: np.random.Generator) -> list[Treatment]:
    """Returns a few treatments that can live in one file: at most one way to edit the graph."""
    order = rng.permutation(len(choices))[: 4 * int(rng.integers(1, 5))]
    picked = [choices[int(index)] for index in order]
    keys = [shared_key(treatment) for treatment in picked]
    main = next((key for key in keys if key), "")
    fitting = [t for t, key in zip(picked, keys, strict=True) if key in {"", main}]
    return fitting[: int(rng.integers(1, 5))]


def spread_out(scores: np.ndarray, count: int, seed: int) -> list[int]:
    """Returns `count` indices whose scores are spread evenly on a logarithmic scale."""
    usable = np.flatnonzero((scores > _LOWEST) & (scores < _HIGHEST))
    if len(usable) <= count:
        return [int(index) for index in usable]
    rng = np.random.default_rng(seed)
    order = usable[np.argsort(scores[usable])]
    edges = np.linspace(np.log(scores[order[0]]), np.log(scores[order[-1]]) + 1e-9, count + 1)
    bins = np.searchsorted(edges, np.log(scores[order]), side="right") - 1
    chosen = [int(rng.choice(order[bins == b])) for b in range(count) if (bins == b).any()]
    rest = [int(index) for index in order if int(index) not in chosen]
    more = rng.permutation(np.array(rest, int))[: count - len(chosen)]
    return [*chosen, *map(int, more)]
