"""`make bench-compress`: the search beside others, at equal measurements and at equal time.

    python -m tests.benchmarks.compress [--net resnet20] [--seeds 1] [--measurements 40] [--json F]

All search the same recipes: for each layer the treatments that the table offers, and channels
removed before. Others begin with the uniform recipes, since cold they find nothing. Scores are
those of the ONNX file on the whole validation split; a measurement's cost in CPU-seconds is
charged to whoever asks for it, untimed. Front: file ≤ 0.30 of the baseline, drop ≤ 10 points.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np

from tests.benchmarks.estimator import NETS, trained_engine, truth
from tests.benchmarks.figure import Figure, shown
from workbench.compression.candidates import Candidates, _fits_one_file
from workbench.compression.estimator import Estimator
from workbench.compression.goal import Goal, drop_of
from workbench.compression.hypervolume import Front
from workbench.compression.measured import Measured
from workbench.compression.recipe import Recipe, Step, parse
from workbench.compression.search import Search, split_structure, with_structure
from workbench.compression.study import StudyEngine
from workbench.core.errors import WorkbenchError
from workbench.core.optional import is_installed, require
from workbench.core.records import Interval
from workbench.runtime.cpu import describe_cpu
from workbench.store import open_store

SIZE, DROP = 0.30, 10.0
AMOUNTS = (0.0, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)
SEED_TAILS = ("cluster:16", "quantize_static:8")
OURS = "ours"
AGAINST = "… to the best other's"


@dataclass
class Trace:
    """What one method measured, in its order, and the CPU-seconds that had passed."""

    items: list[Measured] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def volume(self, base: Measured, count: int | None = None, within_s: float = np.inf) -> float:
        own = [
            m for m, s in list(zip(self.items, self.seconds, strict=True))[:count] if s <= within_s
        ]
        costs = np.array([m.size_bytes / base.size_bytes for m in own])
        drops = np.array([100 * drop_of(m) for m in own])
        return Front(costs, drops, (SIZE, DROP)).area() / (SIZE * DROP)

    def smallest(self, base: Measured, max_drop: float = 0.01) -> float:
        within = [m.size_bytes for m in self.items if drop_of(m) <= max_drop]
        return min(within, default=base.size_bytes) / base.size_bytes


class Oracle:
    """Measures recipes without timing them; remembers figures and what they cost.

    Whoever asks pays what it would have cost alone: a recipe, and the network behind it when that
    was not yet among those `seen`.
    """

    def __init__(self, engine: StudyEngine) -> None:
        self.engine = engine
        self.base = engine.baseline()
        self._known: dict[str, tuple[Measured | None, float]] = {}
        self._networks: dict[float, float] = {}

    def measure(self, recipe: Recipe, seen: set[float]) -> tuple[Measured | None, float]:
        amount = split_structure(recipe)[0]
        network = 0.0 if not amount or amount in seen else self._network(amount, recipe)
        seen.add(amount or 0.0)
        key = str(recipe)
        if key not in self._known:
            start = time.process_time()
            try:
                found = truth(self.engine, recipe)
                change = found.score - self.base.score
                found = replace(found, difference=Interval(change, change, change))
            except WorkbenchError:
                found = None
            self._known[key] = (found, time.process_time() - start)
        found, cost = self._known[key]
        return found, cost + network

    def _network(self, amount: float, recipe: Recipe) -> float:
        if amount not in self._networks:
            step = next(s for s in recipe.all_steps() if s.plugin.stage == "structure")
            start = time.process_time()
            self.engine.build(Recipe(steps=(step,)))
            self._networks[amount] = time.process_time() - start
        return self._networks[amount]


class Space:
    """What the others choose from: the same treatments of each layer, and channels removed."""

    def __init__(self, candidates: Candidates, steps: dict[float, Step]) -> None:
        self.candidates = candidates
        self.steps = steps
        self.sizes = [len(own) + 1 for own in candidates.choices]

    def recipe(self, amount: float, picks: list[int]) -> Recipe:
        layers = {
            name: own[pick - 1] if pick else ()
            for name, own, pick in zip(
                self.candidates.names, self.candidates.choices, picks, strict=True
            )
        }
        while not _fits_one_file(layers.values()):
            layers = self._repaired(layers)
        mixed = self.candidates._of_layers(layers) if any(layers.values()) else Recipe()
        return with_structure(mixed, self.steps[amount]) if amount else mixed

    def picks_of(self, text: str) -> list[int]:
        """Returns the uniform choice nearest to a treatment; 0 where a layer does not have it."""
        wanted = parse(text).steps
        return [
            next((i + 1 for i, t in enumerate(own) if t == wanted), 0)
            for own in self.candidates.choices
        ]

    def seeds(self) -> Iterator[tuple[float, list[int]]]:
        for recipe in self.candidates.uniform():
            picks = self.picks_of(str(recipe))
            if any(picks):
                yield 0.0, picks
        for amount in list(self.steps):
            for tail in SEED_TAILS:
                yield amount, self.picks_of(tail)

    def random(self, rng: np.random.Generator) -> tuple[float, list[int]]:
        share = rng.uniform(0.2, 1.0)
        picks = [int(rng.integers(n)) if rng.random() < share else 0 for n in self.sizes]
        return float(rng.choice([0.0, *self.steps])), picks

    def _repaired(self, layers: dict[str, Any]) -> dict[str, Any]:
        """Takes away the whole-graph steps that come second."""
        kept: dict[str, Any] = {}
        for name, steps in layers.items():
            kept[name] = steps if _fits_one_file([*kept.values(), steps]) else ()
        return kept


def ours(oracle: Oracle, estimator: Estimator, count: int, seed: int) -> Trace:
    trace, spent, start = Trace(), 0.0, time.process_time()
    seen: set[float] = set()
    corner = (SIZE * oracle.base.size_bytes, DROP)
    search = Search(estimator, Goal(max_drop=DROP / 100), seed=seed, only_front=True, corner=corner)
    search.prepare()
    while len(trace.items) < count:
        recipe = search.propose()
        spent += time.process_time() - start
        if recipe is None:
            break
        found, cost = oracle.measure(recipe, seen)
        spent += cost
        start = time.process_time()
        if found is None:
            search.refuse(recipe)
            continue
        search.tell(found)
        trace.items.append(found)
        trace.seconds.append(spent)
    return trace


def by_optuna(kind: str) -> Callable[[Oracle, Space, int, int], Trace]:
    def run(oracle: Oracle, space: Space, count: int, seed: int) -> Trace:
        optuna = require("optuna", for_="the benchmark", extra="bench-compress")
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        samplers = optuna.samplers
        sampler = (
            samplers.TPESampler(seed=seed, n_startup_trials=10)
            if kind == "tpe"
            else samplers.NSGAIISampler(seed=seed, population_size=20)
        )
        study = optuna.create_study(directions=["minimize", "minimize"], sampler=sampler)
        amounts = [0.0, *space.steps]
        for amount, picks in space.seeds():
            study.enqueue_trial({"structure": amount, **{f"l{i}": p for i, p in enumerate(picks)}})
        trace, spent, start = Trace(), 0.0, time.process_time()
        seen: set[float] = set()
        for _ in range(count * 3):
            if len(trace.items) >= count:
                break
            trial = study.ask()
            amount = trial.suggest_categorical("structure", amounts)
            picks = [
                trial.suggest_categorical(f"l{i}", list(range(n)))
                for i, n in enumerate(space.sizes)
            ]
            recipe = space.recipe(amount, picks)
            spent += time.process_time() - start
            found, cost = (oracle.base, 0.0) if recipe.is_baseline else oracle.measure(recipe, seen)
            spent += cost
            start = time.process_time()
            if found is None:
                study.tell(trial, state=optuna.trial.TrialState.FAIL)
                continue
            study.tell(trial, [found.size_bytes / oracle.base.size_bytes, 100 * drop_of(found)])
            trace.items.append(found)
            trace.seconds.append(spent)
        return trace

    return run


def mutation(oracle: Oracle, space: Space, count: int, seed: int) -> Trace:
    rng = np.random.default_rng(seed)
    trace, spent = Trace(), 0.0
    seen: set[float] = set()
    waiting = list(space.seeds())
    known: list[tuple[Measured, float, list[int]]] = []
    while len(trace.items) < count:
        if waiting:
            amount, picks = waiting.pop(0)
        else:
            amount, picks = mutated(known, space, rng)
        found, cost = oracle.measure(space.recipe(amount, picks), seen)
        spent += cost
        if found is not None:
            known.append((found, amount, picks))
            trace.items.append(found)
            trace.seconds.append(spent)
    return trace


def mutated(
    known: list[tuple[Measured, float, list[int]]], space: Space, rng: np.random.Generator
) -> tuple[float, list[int]]:
    front: list[tuple[Measured, float, list[int]]] = []
    for row in sorted(known, key=lambda r: (r[0].size_bytes, drop_of(r[0]))):
        if not front or drop_of(row[0]) < drop_of(front[-1][0]):
            front.append(row)
    _, amount, picks = front[int(rng.integers(len(front)))]
    picks = list(picks)
    if rng.random() < 0.3:
        amount = float(rng.choice([0.0, *space.steps]))
    for index in rng.choice(len(picks), min(int(rng.integers(1, 3)), len(picks)), replace=False):
        picks[int(index)] = int(rng.integers(space.sizes[int(index)]))
    return amount, picks


def at_random(oracle: Oracle, space: Space, count: int, seed: int) -> Trace:
    rng = np.random.default_rng(seed)
    trace, spent = Trace(), 0.0
    seen: set[float] = set()
    while len(trace.items) < count:
        recipe = space.recipe(*space.random(rng))
        found, cost = (None, 0.0) if recipe.is_baseline else oracle.measure(recipe, seen)
        spent += cost
        if found is not None:
            trace.items.append(found)
            trace.seconds.append(spent)
    return trace


def ort_defaults(oracle: Oracle, space: Space, count: int, seed: int) -> Trace:
    trace, spent = Trace(), 0.0
    seen: set[float] = set()
    for text in ("quantize_dynamic", "quantize_static"):
        found, cost = oracle.measure(parse(text), seen)
        spent += cost
        if found is not None:
            trace.items.append(found)
            trace.seconds.append(spent)
    return trace


METHODS: dict[str, Callable[[Oracle, Space, int, int], Trace]] = {
    "tpe": by_optuna("tpe"),
    "nsga2": by_optuna("nsga2"),
    "mutation": mutation,
    "random": at_random,
    "ort defaults": ort_defaults,
}


def run(net: str, seed: int, count: int, side: int, epochs: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        engine = trained_engine(open_store(Path(folder) / ".workbench"), net, side, epochs, seed)
        oracle = Oracle(engine)
        estimator = Estimator(engine, seed=seed)
        traces = {OURS: ours(oracle, estimator, count, seed)}
        whole = Candidates(estimator, "size_bytes", seed)
        searcher = Search(estimator, Goal())
        steps = {a: s for a in AMOUNTS if a for s in searcher._structural(a)[:1]}
        space = Space(whole, steps)
        for name, method in METHODS.items():
            if name in ("tpe", "nsga2") and not is_installed("optuna"):
                continue
            traces[name] = method(oracle, space, count, seed)
        return {name: facts(trace, oracle.base, count) for name, trace in traces.items()}


def facts(trace: Trace, base: Measured, count: int) -> dict[str, float]:
    return {
        "measured": len(trace.items),
        "seconds": trace.seconds[-1] if trace.seconds else 0.0,
        "volume at 20": trace.volume(base, 20),
        "volume at the end": trace.volume(base, count),
        "volume at 40 s": trace.volume(base, within_s=40.0),
        "volume at 120 s": trace.volume(base, within_s=120.0),
        "size at 1 point": trace.smallest(base),
    }


def figures(rows: dict[str, dict[str, float]], count: int) -> list[Figure]:
    """Returns our figures beside the best of the others, each with its goal."""
    others = {name: row for name, row in rows.items() if name != OURS}

    def best(figure: str) -> float:
        return max(row[figure] for row in others.values())

    mine = rows[OURS]
    size = min(row["size at 1 point"] for row in others.values())
    default = rows["ort defaults"]["size at 1 point"]
    ends = f"at {count}"
    return [
        Figure("hypervolume at 20", mine["volume at 20"], ""),
        Figure(AGAINST, mine["volume at 20"] / best("volume at 20"), "×", 1.15, True),
        Figure(f"hypervolume {ends}", mine["volume at the end"], ""),
        Figure(
            AGAINST,
            mine["volume at the end"] / best("volume at the end"),
            "×",
            1.15,
            True,
        ),
        Figure(
            "ours at 40 s to the best other's at 120 s",
            mine["volume at 40 s"] / max(best("volume at 120 s"), 1e-9),
            "×",
            1.0,
            True,
        ),
        Figure("size at ≤ 1 point", mine["size at 1 point"], ""),
        Figure("… to the smallest other's", mine["size at 1 point"] / size, "×", 0.75),
        Figure("… to ONNX Runtime's defaults", mine["size at 1 point"] / default, "×", 1.0),
    ]


def averaged(runs: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    names = list(runs[0])
    return {
        name: {key: mean(one[name][key] for one in runs) for key in runs[0][name]} for name in names
    }


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def report(net: str, runs: list[dict[str, Any]], count: int) -> dict[str, Any]:
    rows = averaged(runs)
    say(f"\n{net}: {len(runs)} seeds, {count} measurements")
    head = ("measured", "CPU-s", "HV 20", f"HV {count}", "HV 40 s", "HV 120 s", "size ≤ 1 pt")
    say(f"  {'':<14}" + "".join(f"{h:>13}" for h in head))
    for name, row in rows.items():
        say(f"  {name:<14}" + "".join(f"{shown(v):>13}" for v in row.values()))
    found = figures(rows, count)
    for item in found:
        say(
            f"  {item.name:<44}{shown(item.value):>9} {item.unit:<2}{item.goal_text:>8}  "
            f"{item.verdict}"
        )
    return {"rows": rows, "runs": runs, "figures": [item.to_json() for item in found]}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.compress")
    parser.add_argument("--net", choices=list(NETS), action="append")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--measurements", type=int, default=40)
    parser.add_argument("--side", type=int, default=14, help="pixels of a picture's side")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    require("torch", for_="the benchmark").set_num_threads(1)
    cpu = describe_cpu()
    say(f"{cpu.name} ({cpu.int8}), one thread, CPU-seconds; nncf: not compared")
    results = {}
    for net in asked.net or ["resnet8", "mlp"]:
        runs = [
            run(net, seed, asked.measurements, asked.side, asked.epochs)
            for seed in range(asked.seeds)
        ]
        results[net] = report(net, runs, asked.measurements)
        if asked.json:
            facts_of = {"machine": cpu.to_json(), "nets": results}
            asked.json.write_text(json.dumps(facts_of, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
