"""What all methods of `compress` choose from, what they pay, and what they are judged by."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks.estimator import truth
from workbench.compression.candidates import Candidates, Place, fits_one_file
from workbench.compression.estimator import Estimator
from workbench.compression.goal import drop_of
from workbench.compression.hypervolume import Front
from workbench.compression.measured import Measured
from workbench.compression.recipe import Recipe, Step, parse
from workbench.compression.restructuring import split_structure, structures_of, with_structure
from workbench.compression.study import StudyEngine
from workbench.core.errors import WorkbenchError
from workbench.core.records import Interval
from workbench.exporting.graph import save_graph
from workbench.runtime.session import open_session

SIZE, DROP = 0.30, 10.0
SEED_AMOUNTS, MORE_AMOUNTS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7), (0.8, 0.9)
SEED_TAILS = ("cluster:16", "quantize_static:8")
USUAL, LONGER = 1.0, 4.0
Structural = tuple[float, float]
NONE: Structural = (0.0, USUAL)


@dataclass
class Trace:
    """What one method measured, in its order, and the CPU-seconds that had passed."""

    items: list[Measured] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def add(self, found: Measured, spent: float) -> None:
        """Takes one more measurement."""
        self.items.append(found)
        self.seconds.append(spent)

    def volume(self, base: Measured, count: int | None = None, within_s: float = np.inf) -> float:
        """Returns the hypervolume of the first measurements, as a share of the corner."""
        own = [
            m for m, s in list(zip(self.items, self.seconds, strict=True))[:count] if s <= within_s
        ]
        costs = np.array([m.size_bytes / base.size_bytes for m in own])
        drops = np.array([100 * drop_of(m) for m in own])
        return Front(costs, drops, (SIZE, DROP)).area() / (SIZE * DROP)

    def smallest(self, base: Measured, max_drop: float = 0.01, count: int | None = None) -> float:
        """Returns the smallest file within a drop, over the baseline's."""
        within = [m.size_bytes for m in self.items[:count] if drop_of(m) <= max_drop]
        return min(within, default=base.size_bytes) / base.size_bytes

    def margin(self, base: Measured, other: Measured) -> float:
        """Returns by how many points the best file no larger than `other` scores above it."""
        own = [m for m in (base, *self.items) if m.size_bytes <= other.size_bytes]
        drops = [100 * drop_of(m) for m in own]
        return 100 * drop_of(other) - min(drops, default=100.0)


class Oracle:
    """Measures recipes without timing them; remembers figures and what they cost.

    Whoever asks pays what it would have cost alone: a recipe, and the network behind it when that
    was not yet among those `seen`.
    """

    def __init__(self, engine: StudyEngine) -> None:
        self.engine = engine
        self.base = engine.baseline()
        self.known: dict[str, tuple[Measured | None, float]] = {}
        self.networks: dict[str, float] = {}

    def measure(self, recipe: Recipe, seen: set[str]) -> tuple[Measured | None, float]:
        """Returns the figures, None if it cannot work, and the CPU-seconds to pay."""
        step, _ = split_structure(recipe)
        network = 0.0 if step is None or str(step) in seen else self._network(step)
        if step is not None:
            seen.add(str(step))
        key = str(recipe)
        if key not in self.known:
            self.known[key] = timed(lambda: self._found(recipe))
        found, cost = self.known[key]
        return found, cost + network

    def outside(self, key: str, make: Callable[[], Any]) -> tuple[Measured, float]:
        """Returns the figures of a graph that another library makes, and the CPU-seconds."""
        if key not in self.known:
            self.known[key] = timed(lambda: self._scored(key, make()))
        found, cost = self.known[key]
        assert found is not None
        return found, cost

    def _found(self, recipe: Recipe) -> Measured | None:
        try:
            return self._compared(truth(self.engine, recipe))
        except WorkbenchError:
            return None

    def _scored(self, key: str, graph: Any) -> Measured:
        with tempfile.TemporaryDirectory() as folder:
            path = save_graph(graph, Path(folder) / "m.onnx")
            val = self.engine.dataset.val
            answers = open_session(path).predict(inputs for inputs, _ in val.batches(64))
            size = path.stat().st_size
        score = float((answers.argmax(axis=1) == val.targets).mean())
        return self._compared(replace(self.base, recipe=key, score=score, size_bytes=size))

    def _compared(self, found: Measured) -> Measured:
        change = found.score - self.base.score
        return replace(found, difference=Interval(change, change, change))

    def _network(self, step: Step) -> float:
        if str(step) not in self.networks:
            build = lambda: self.engine.build(Recipe(steps=(step,)))  # noqa: E731
            try:
                self.networks[str(step)] = timed(build)[1]
            except WorkbenchError:
                self.networks[str(step)] = 0.0
        return self.networks[str(step)]


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    """Returns what `work` returns and the CPU-seconds it took."""
    start = time.process_time()
    return work(), time.process_time() - start


class Space:
    """What the others choose from: the same treatments of each layer, and structural steps.

    Args:
        estimator: Its table says which treatments there are.
        seed: For nothing that matters here.
        restructures: Whether there are structural steps.
    """

    def __init__(self, estimator: Estimator, seed: int, *, restructures: bool) -> None:
        place = Place.of(estimator)
        self.candidates = Candidates(place, estimator.latency, "size_bytes", seed)
        self.steps: dict[Structural, Step] = {}
        if restructures:
            for item in structures_of(estimator.subject, fine=True):
                self.steps[item.step.config.amount, item.effort] = item.step
        self.amounts = sorted({amount for amount, _ in self.steps})
        self.sizes = [len(own) + 1 for own in self.candidates.choices]

    def recipe(self, structural: Structural, picks: list[int]) -> Recipe:
        """Returns the recipe of a structural step (or none) and one choice a layer; 0 is none."""
        layers = {
            name: own[pick - 1] if pick else ()
            for name, own, pick in zip(
                self.candidates.names, self.candidates.choices, picks, strict=True
            )
        }
        while not fits_one_file(layers.values()):
            layers = self._repaired(layers)
        mixed = self.candidates.of_layers(layers) if any(layers.values()) else Recipe()
        step = self.steps.get(structural)
        return mixed if step is None else with_structure(mixed, step)

    def picks_of(self, text: str) -> list[int]:
        """Returns the uniform choice nearest to a treatment; 0 where a layer does not have it."""
        wanted = parse(text).steps
        return [
            next((i + 1 for i, t in enumerate(own) if t == wanted), 0)
            for own in self.candidates.choices
        ]

    def seeds(self) -> Iterator[tuple[Structural, list[int]]]:
        """Yields the uniform recipes: by defaults first, then of two steps, then trained longer."""
        uniform = [self.picks_of(str(recipe)) for recipe in self.candidates.uniform()]
        steps = [len(recipe.steps) for recipe in self.candidates.uniform()]
        yield from self._alike(uniform, steps, 1)
        for amount in SEED_AMOUNTS:
            for tail in SEED_TAILS:
                if (amount, USUAL) in self.steps:
                    yield (amount, USUAL), self.picks_of(tail)
        yield from self._alike(uniform, steps, 2)
        for amount in (*SEED_AMOUNTS, *MORE_AMOUNTS):
            if (amount, LONGER) in self.steps:
                yield (amount, LONGER), self.picks_of(SEED_TAILS[0])

    def _alike(
        self, uniform: list[list[int]], steps: list[int], count: int
    ) -> Iterator[tuple[Structural, list[int]]]:
        for picks, own in zip(uniform, steps, strict=True):
            if any(picks) and own == count:
                yield NONE, picks

    def random(self, rng: np.random.Generator) -> tuple[Structural, list[int]]:
        """Returns a recipe of random strength."""
        share = rng.uniform(0.2, 1.0)
        picks = [int(rng.integers(n)) if rng.random() < share else 0 for n in self.sizes]
        return self.random_step(rng), picks

    def random_step(self, rng: np.random.Generator) -> Structural:
        """Returns no structural step, or any."""
        every = [NONE, *self.steps]
        return every[int(rng.integers(len(every)))]

    def _repaired(self, layers: Mapping[str, Any]) -> dict[str, Any]:
        """Takes away the whole-graph steps that come second."""
        kept: dict[str, Any] = {}
        for name, steps in layers.items():
            kept[name] = steps if fits_one_file([*kept.values(), steps]) else ()
        return kept
