"""The search, and what it is compared with. Each returns what it measured, and what it paid."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks.compress_space import (
    DROP,
    NONE,
    SIZE,
    Oracle,
    Space,
    Structural,
    Trace,
    timed,
)
from workbench.compression.estimator import Estimator
from workbench.compression.goal import Goal, drop_of
from workbench.compression.measured import Measured
from workbench.compression.restructuring import split_structure
from workbench.compression.search import Search
from workbench.compression.trial_costs import TrialCosts, epoch_seconds
from workbench.core.optional import is_installed, require
from workbench.exporting.graph import load_graph

OURS = "ours"
ORT, NNCF = "ort defaults", "nncf"
EXTRA = "bench-compress"
CALIBRATION = 300
_POPULATION, _STARTUP = 20, 10
_PATIENCE = 4
Asked = tuple[Structural, list[int]]


def ours(
    oracle: Oracle, estimator: Estimator, count: int, seed: int, *, restructures: bool
) -> Trace:
    trace, seen = Trace(), set[str]()
    corner = (SIZE * oracle.base.size_bytes, DROP)
    search = Search(
        estimator,
        Goal(max_drop=DROP / 100),
        seed=seed,
        only_front=True,
        corner=corner,
        restructures=restructures,
    )
    _, spent = timed(search.prepare)
    train = len(oracle.engine.dataset.train)
    costs = TrialCosts(0.1, 2.0, epoch_seconds(estimator.prober.plain.macs, train))
    while len(trace.items) < count:
        recipe, thought = timed(lambda: search.propose(costs.of))
        spent += thought
        if recipe is None:
            break
        found, cost = oracle.measure(recipe, seen)
        costs.note(split_structure(recipe)[0], thought + cost)
        spent += cost
        if found is None:
            search.refuse(recipe)
            continue
        spent += timed(lambda known=found: search.tell(known))[1]
        trace.add(found, spent)
    return trace


class _Payer:
    """Measures for one rival; a recipe asked for twice is neither measured nor paid again."""

    def __init__(self, oracle: Oracle, space: Space, count: int) -> None:
        self._oracle, self._space, self._count = oracle, space, count
        self.trace = Trace()
        self.spent = 0.0
        self._own: dict[str, Measured | None] = {str(oracle.base.recipe): oracle.base}
        self._seen: set[str] = set()
        self._asked = 0

    @property
    def is_done(self) -> bool:
        return len(self.trace.items) >= self._count or self._asked >= _PATIENCE * self._count

    def measure(self, structural: Structural, picks: list[int]) -> Measured | None:
        self._asked += 1
        recipe = self._space.recipe(structural, picks)
        if recipe.is_baseline:
            return self._oracle.base
        key = str(recipe)
        if key not in self._own:
            found, cost = self._oracle.measure(recipe, self._seen)
            self.spent += cost
            self._own[key] = found
            if found is not None:
                self.trace.add(found, self.spent)
        return self._own[key]


def by_optuna(kind: str) -> Callable[[Oracle, Space, int, int], Trace]:
    def run(oracle: Oracle, space: Space, count: int, seed: int) -> Trace:
        optuna = require("optuna", for_="the benchmark", extra=EXTRA)
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        samplers = optuna.samplers
        sampler = (
            samplers.TPESampler(seed=seed, n_startup_trials=_STARTUP)
            if kind == "tpe"
            else samplers.NSGAIISampler(seed=seed, population_size=_POPULATION)
        )
        study = optuna.create_study(directions=["minimize", "minimize"], sampler=sampler)
        for (amount, effort), picks in space.seeds():
            named = {f"l{i}": pick for i, pick in enumerate(picks)}
            study.enqueue_trial({"amount": amount, "effort": effort, **named})
        payer = _Payer(oracle, space, count)
        while not payer.is_done:
            (trial, asked), cost = timed(lambda: suggested(study, space))
            payer.spent += cost
            found = payer.measure(*asked)
            payer.spent += timed(lambda t=trial, f=found: told(optuna, study, t, f, oracle))[1]
        return payer.trace

    return run


def suggested(study: Any, space: Space) -> tuple[Any, Asked]:
    trial = study.ask()
    amount, effort = 0.0, NONE[1]
    if space.steps:
        amount = trial.suggest_categorical("amount", [0.0, *space.amounts])
        effort = trial.suggest_categorical("effort", sorted({e for _, e in space.steps}))
    picks = [trial.suggest_categorical(f"l{i}", list(range(n))) for i, n in enumerate(space.sizes)]
    return trial, ((amount, effort), picks)


def told(optuna: Any, study: Any, trial: Any, found: Measured | None, oracle: Oracle) -> None:
    if found is None:
        study.tell(trial, state=optuna.trial.TrialState.FAIL)
    else:
        study.tell(trial, [found.size_bytes / oracle.base.size_bytes, 100 * drop_of(found)])


def mutation(oracle: Oracle, space: Space, count: int, seed: int) -> Trace:
    rng = np.random.default_rng(seed)
    payer, waiting = _Payer(oracle, space, count), list(space.seeds())
    known: list[tuple[Measured, Asked]] = []
    while not payer.is_done:
        asked = waiting.pop(0) if waiting else mutated(known, space, rng)
        found = payer.measure(*asked)
        if found is not None:
            known.append((found, asked))
    return payer.trace


def mutated(known: list[tuple[Measured, Asked]], space: Space, rng: np.random.Generator) -> Asked:
    front: list[tuple[Measured, Asked]] = []
    for row in sorted(known, key=lambda r: (r[0].size_bytes, drop_of(r[0]))):
        if not front or drop_of(row[0]) < drop_of(front[-1][0]):
            front.append(row)
    _, (structural, old) = front[int(rng.integers(len(front)))]
    picks = list(old)
    if rng.random() < 0.3:
        structural = space.random_step(rng)
    for index in rng.choice(len(picks), min(int(rng.integers(1, 3)), len(picks)), replace=False):
        picks[int(index)] = int(rng.integers(space.sizes[int(index)]))
    return structural, picks


def at_random(oracle: Oracle, space: Space, count: int, seed: int) -> Trace:
    rng = np.random.default_rng(seed)
    payer = _Payer(oracle, space, count)
    while not payer.is_done:
        payer.measure(*space.random(rng))
    return payer.trace


def ort_defaults(oracle: Oracle, space: Space, count: int, seed: int) -> Trace:
    """ONNX Runtime's own two functions with their own defaults."""
    return _outside(oracle, {f"ort {kind}": kind for kind in ("dynamic", "static")}, _by_ort)


def nncf_defaults(oracle: Oracle, space: Space, count: int, seed: int) -> Trace:
    """nncf's post-training quantization of ONNX files: its default preset, and the mixed one."""
    return _outside(oracle, {f"nncf {p}": p for p in ("PERFORMANCE", "MIXED")}, _by_nncf)


def _outside(oracle: Oracle, named: dict[str, str], make: Callable[[Oracle, str], Any]) -> Trace:
    trace, spent = Trace(), 0.0
    for key, option in named.items():
        found, cost = oracle.outside(key, lambda chosen=option: make(oracle, chosen))
        spent += cost
        trace.add(found, spent)
    return trace


def _by_ort(oracle: Oracle, kind: str) -> Any:
    quantization = require("onnxruntime.quantization", for_="the benchmark")
    prepare = require("onnxruntime.quantization.shape_inference", for_="the benchmark")
    graph = load_graph(oracle.engine.path(oracle.base))
    source = graph.graph.input[0].name
    onnx = require("onnx", for_="the benchmark")
    with tempfile.TemporaryDirectory() as folder:
        first, ready, out = (str(Path(folder) / name) for name in ("a.onnx", "b.onnx", "c.onnx"))
        del graph.graph.value_info[:]  # it names sizes that the quantizer's inference rejects
        onnx.save(graph, first)
        prepare.quant_pre_process(first, ready, skip_symbolic_shape=True)
        if kind == "dynamic":
            quantization.quantize_dynamic(ready, out)
        else:
            rows = iter([{source: batch} for batch in calibration(oracle)])
            members = {"get_next": lambda self: next(rows, None)}
            reader = type("Reader", (quantization.CalibrationDataReader,), members)
            quantization.quantize_static(ready, out, reader())
        return onnx.load(out)


def _by_nncf(oracle: Oracle, preset: str) -> Any:
    os.environ.setdefault("NNCF_CI", "1")  # it sends no usage statistics
    nncf = require("nncf", for_="the benchmark", extra=EXTRA)
    graph = load_graph(oracle.engine.path(oracle.base))
    source = graph.graph.input[0].name
    data = nncf.Dataset(list(calibration(oracle)), lambda batch: {source: batch})
    return nncf.quantize(
        graph, data, preset=nncf.QuantizationPreset[preset], subset_size=CALIBRATION
    )


def calibration(oracle: Oracle) -> Iterator[np.ndarray]:
    train = oracle.engine.dataset.train
    for index in range(min(CALIBRATION, len(train))):
        yield train.batch(np.array([index]))[0]


METHODS: dict[str, Callable[[Oracle, Space, int, int], Trace]] = {
    "tpe": by_optuna("tpe"),
    "nsga2": by_optuna("nsga2"),
    "mutation": mutation,
    "random": at_random,
    ORT: ort_defaults,
    NNCF: nncf_defaults,
}
NEEDS = {"tpe": "optuna", "nsga2": "optuna", NNCF: "nncf"}


def not_run() -> dict[str, str]:
    """Returns which methods cannot run here, and why."""
    return {
        name: f"not run: {library} is not installed; pip install 'maas-workbench[{EXTRA}]'"
        for name, library in NEEDS.items()
        if not is_installed(library)
    }
