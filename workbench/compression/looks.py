"""Quick looks: how far a recipe's score drops on a few hundred samples, without its file."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from workbench.compression.effects import shared_key
from workbench.compression.look_runner import LookRunner
from workbench.compression.look_samples import LookSamples, by_margin, spread_evenly
from workbench.compression.probing import Prober
from workbench.compression.recipe import Recipe, parse
from workbench.compression.study import StudyEngine
from workbench.compression.treatments import Treatment, changes_weights, treatments_of
from workbench.evaluation.compare import paired_bootstrap
from workbench.exporting.graph import save_graph
from workbench.runtime.session import open_session
from workbench.tasks import METRICS, TASKS

_SAMPLES, _QUICK_MACS = (64, 256), 1_000_000_000
_MOST_BYTES = 600_000_000
_NORMAL, _RESAMPLES, _SETS = 1.645, 100, 5
_MIXED = 240
_UNSEEN = 0.15  # of a flip
_LOWEST, _HIGHEST = 1e-5, 30.0


@dataclass(frozen=True)
class Look:
    """What was seen, paired with the baseline.

    Attributes:
        recipe: What was looked at.
        drop: In points; larger is worse.
        noise: Standard error of `drop`, in points.
        samples: How many samples were seen.
    """

    recipe: Recipe
    drop: float
    noise: float
    samples: int

    def to_json(self) -> dict[str, Any]:
        """Returns the look as JSON-able values."""
        return {**vars(self), "recipe": self.recipe.to_json()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Look:
        """Rebuilds a look from `to_json`."""
        return cls(**{**data, "recipe": parse(data["recipe"])})


class Looker:
    """Takes quick looks, in turns at several sets of samples, so that their luck evens out.

    Args:
        engine: The study's engine.
        prober: Knows what treatments do to layers.
        samples: At most as many are looked at; by default what is quick for this model.
        seed: For their choice.
    """

    def __init__(
        self, engine: StudyEngine, prober: Prober, samples: int | None = None, seed: int = 0
    ) -> None:
        self._engine = engine
        self._prober = prober
        quick = int(np.clip(_QUICK_MACS // max(prober.plain.macs, 1), *_SAMPLES))
        count = prober.fitting(samples or quick, _MOST_BYTES)
        before = engine.outputs_of_baseline()
        first = float(np.random.default_rng(seed).random())
        starts = (first + np.arange(_SETS)) / _SETS
        runners: dict[bool, LookRunner] = {}
        self._views = [
            _View(engine, prober, before, count, float(start), runners) for start in starts
        ]
        if count >= len(before):
            del self._views[1:]
        self._turn = 0

    def look(self, recipe: Recipe) -> Look:
        """Returns how far the score drops on the samples whose turn it is."""
        view = self._views[self._turn % len(self._views)]
        self._turn += 1
        return view.look(recipe)


class _View:
    """Looks at one set of samples."""

    def __init__(
        self,
        engine: StudyEngine,
        prober: Prober,
        before: np.ndarray,
        count: int,
        start: float,
        runners: dict[bool, LookRunner],
    ) -> None:
        self._engine = engine
        self._prober = prober
        targets = np.asarray(engine.dataset.val.targets)
        self._hits = METRICS.get(engine.metric).hits
        has_hits = self._hits(before, targets) is not None
        margins = TASKS.get(engine.description.task).margins(before) if has_hits else None
        self._is_weighted = margins is not None
        self._samples = (
            spread_evenly(len(before), count)
            if margins is None
            else by_margin(margins, count, start)
        )
        self._before = before[self._samples.indices]
        self._inputs, self._targets = engine.dataset.val.batch(self._samples.indices)
        self._runners = runners

    def look(self, recipe: Recipe) -> Look:
        after = self._answers(recipe)
        if self._is_weighted:
            drop, noise = self._flips(after)
        else:
            metric = METRICS.get(self._engine.metric)
            found = paired_bootstrap(
                metric.key, self._before, after, self._targets, resamples=_RESAMPLES
            )
            unit = metric.unit(np.asarray(self._engine.dataset.val.targets))
            drop = (-found.value if metric.higher_is_better else found.value) / unit
            noise = (found.high - found.low) / (2 * _NORMAL) / unit
        return Look(recipe, 100 * drop, 100 * noise, len(self._targets))

    def _flips(self, after: np.ndarray) -> tuple[float, float]:
        right = [np.asarray(self._hits(o, self._targets), float) for o in (self._before, after)]
        return drop_of(right[0] - right[1], self._samples)

    def _answers(self, recipe: Recipe) -> np.ndarray:
        chosen = treatments_of(recipe, self._prober.subject)
        effects = self._prober.effects(chosen)
        if any(effect.weight is None for effect in effects.values()):
            return self._answers_of_file(recipe)
        is_changing = any(changes_weights(treatment) for treatment in chosen.values())
        if is_changing not in self._runners:
            self._runners[is_changing] = self._prober.runner(is_changing=is_changing)
        repaired = self._prober.repaired_by(chosen) if is_changing else []
        return self._runners[is_changing].outputs(effects, repaired, self._inputs)

    def _answers_of_file(self, recipe: Recipe) -> np.ndarray:
        with tempfile.TemporaryDirectory() as folder:
            path = save_graph(self._engine.build(recipe).graph, Path(folder) / "look.onnx")
            return open_session(path).run(self._inputs)


def drop_of(lost: np.ndarray, samples: LookSamples) -> tuple[float, float]:
    """Returns the drop of the accuracy and its standard error.

    That of a weighted mean of samples taken one by one (Särndal, Swensson and Wretman 1992, §5.7:
    the weights add up to 1, so the mean is known without error where all samples agree), and a
    small part of a flip, since where none was seen there may be one.

    Args:
        lost: 1 where a right answer became wrong, −1 where a wrong one became right [n].
        samples: Those that were looked at.
    """
    weights, unsure = samples.weights, 1 - samples.chances
    drop = float(weights @ lost)
    variance = float((weights**2 * unsure * (lost - drop) ** 2).sum())
    unseen = _UNSEEN * float(np.median(weights)) if unsure.any() else 0.0
    return drop, float(np.sqrt(variance + unseen**2))


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
