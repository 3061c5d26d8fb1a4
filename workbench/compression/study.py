"""The study's engine: a baseline and its variants, each built once, measured once, remembered."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.compression.apply import apply, check_support
from workbench.compression.calibration import Calibrator
from workbench.compression.comparison import Comparison, compared
from workbench.compression.front import pareto_front
from workbench.compression.growing import Refused, outputs_or_refusal
from workbench.compression.identity import checked_description, identity_of, library_versions
from workbench.compression.kept_outputs import KeptOutputs
from workbench.compression.measure import TimedPair, outputs_on, stored_bytes, time_pair
from workbench.compression.measured import Measured
from workbench.compression.reasons import Figures, describe
from workbench.compression.recent import Recent
from workbench.compression.recipe import Recipe, parse
from workbench.compression.saturation import measure_saturation
from workbench.compression.structures import Structures, imported_subject
from workbench.compression.subject import Subject
from workbench.compression.tools import Data, Tools, spread
from workbench.core import optional
from workbench.core.errors import InputError, StateError
from workbench.core.files import storing
from workbench.core.ids import digest_json
from workbench.core.records import Interval
from workbench.evaluation import paired_difference
from workbench.exporting.graph import initializers, save_graph
from workbench.runtime.cpu import Cpu, describe_cpu
from workbench.runtime.session import Session, open_session
from workbench.store import MODEL_FILE, Artifact, Context, NullContext, Store
from workbench.tasks import METRICS, TASKS, primary_metric

if TYPE_CHECKING:
    from torch import nn

_VERSION = 1
_BUDGET_S = 0.3
_PROBES = 8
_KEPT = 4
_NO_DIFFERENCE = Interval(0.0, 0.0, 0.0)


class StudyEngine:
    """Builds and measures variants of one model on one dataset.

    Args:
        store: The workspace's store.
        model: Artifact of kind "network" or "onnx".
        dataset: Train split for calibration, validation split for scores.
        module: The torch module, where the artifact alone cannot rebuild it.
        threads: Threads of the measured sessions.
        batch: Samples in a timed call.
        seed: For fine-tuning.
        loss: For fine-tuning, of outputs and targets; by default that of the task.
        metric: Key of what scores are; by default the task's first.
        cpu: The machine; by default this one.
    """

    def __init__(
        self,
        store: Store,
        model: Artifact,
        dataset: Data,
        module: nn.Module | None = None,
        *,
        threads: int = 1,
        batch: int = 1,
        seed: int = 0,
        loss: Any = None,
        metric: str | None = None,
        cpu: Cpu | None = None,
    ) -> None:
        self.store = store
        self.model = model
        self.dataset = dataset
        self.description = checked_description(model)
        self.threads, self.batch, self.seed = threads, batch, seed
        self.loss = loss
        self.cpu = cpu or describe_cpu()
        first = primary_metric(self.description.task, self.description.labels)
        self.metric = metric or first
        self._other_metric = {} if self.metric == first else {"metric": self.metric}
        self.identity = model.digest if module is None else identity_of(model, module, loss)
        self._module = module
        self._libraries = library_versions()
        self._structures = Structures(store, self.identity, self._libraries)
        self._calibrator = Calibrator(dataset.train, dataset.fingerprint, store.cache)
        self._recent: Recent[Subject] = Recent(_KEPT)
        self._base: Subject | None = None
        self._baseline_outputs = KeptOutputs(store, digest_json(self._facts(Recipe())))

    def baseline(self, context: Context | None = None) -> Measured:
        """Measures the model itself, as an ONNX file."""
        return self.measure(Recipe(), context)

    def measure(
        self,
        recipe: Recipe | str | Sequence[Any] | Mapping[str, Any],
        context: Context | None = None,
    ) -> Measured:
        """Returns the figures of a variant; measured now, or found from an earlier time.

        Args:
            recipe: Text, JSON form, or a mapping of layers.
            context: Progress, stop and pause.

        Raises:
            InputError: The recipe is not valid.
            UnsupportedError: It cannot work on this model; the reasons are in the message.
            ParityError: The patched file answers differently from the module.
        """
        parsed = parse(recipe)
        known = self.find(parsed)
        if known is not None:
            return known
        with tempfile.TemporaryDirectory() as folder:
            work = context or NullContext(Path(folder))
            measured = self._measure(parsed, work, Path(folder))
        if isinstance(measured, Refused):
            raise StateError(f"'{recipe}' was given up, which only a search may do.")
        self.store.cache.put(self._key(parsed), measured.to_json())
        return measured

    def find(self, recipe: Recipe | str) -> Measured | None:
        """Returns the figures of a variant if they are known, without building anything."""
        found = self.store.cache.get(self._key(parse(recipe)))
        if found is None:
            return None
        measured = Measured.from_json(found)
        return None if self.store.artifacts.adopt(measured.artifact) is None else measured

    def build(self, recipe: Recipe | str, context: Context | None = None) -> Subject:
        """Returns the variant's graph (and torch state) without measuring it."""
        parsed = parse(recipe)
        with tempfile.TemporaryDirectory() as folder:
            tools = self.tools(context or NullContext(Path(folder)))
            base = self.base(tools)
            check_support(parsed, base)
            return apply(
                parsed,
                base,
                tools,
                lambda subject, step, layers: self._structures.changed(
                    subject, step, layers, tools
                ),
                self._recent,
            )

    def base(self, tools: Tools) -> Subject:
        """Returns the model itself as a subject; exported at most once in a workspace."""
        if self._base is None:
            if self._module is None and self.model.kind != "network":
                samples = spread(self.dataset.val, _PROBES)
                self._base = imported_subject(self._model_path(), self.description, samples)
            else:
                self._base = self._structures.base(self._load_module, self.description, tools)
        return self._base

    def tools(self, context: Context) -> Tools:
        """Returns what methods may use."""
        return Tools(self.dataset, context, self.cpu, self._calibrator, self.seed, self.loss)

    def path(self, measured: Measured) -> Path:
        """Returns the path of the variant's ONNX file."""
        return self.store.artifacts.path(self.store.artifacts.get(measured.artifact), MODEL_FILE)

    def trial(
        self, recipe: Recipe, max_drop: float, context: Context | None = None
    ) -> Measured | Refused:
        """Measures a variant, but gives it up early if it clearly loses more than `max_drop`.

        Args:
            recipe: What to do.
            max_drop: In the metric's units.
            context: Progress, stop and pause.

        Raises:
            UnsupportedError: It cannot work on this model; the reasons are in the message.
            ParityError: The patched file answers differently from the module.
        """
        known = self.find(recipe)
        if known is not None:
            return known
        key = self._key(recipe).replace("measured:", "refused:")
        given_up = self.store.cache.get(key)
        if given_up is not None and given_up["at_least"] > max_drop:
            return Refused.from_json(given_up)
        with tempfile.TemporaryDirectory() as folder:
            work = context or NullContext(Path(folder))
            found = self._measure(recipe, work, Path(folder), max_drop)
        is_refused = isinstance(found, Refused)
        self.store.cache.put(key if is_refused else self._key(recipe), found.to_json())
        return found

    def compare(self, measured: Measured, context: Context) -> Comparison:
        """Returns what a variant changes against the baseline, on the validation split."""
        before = self._outputs_of_baseline(self.baseline(context), context)
        session = open_session(self.path(measured), self.threads)
        after = outputs_on(session, self.dataset.val, context)
        targets = np.asarray(self.dataset.val.targets)
        return compared(measured.recipe, self.metric, before, after, targets, self.description)

    def _measure(
        self, recipe: Recipe, context: Context, folder: Path, max_drop: float | None = None
    ) -> Measured | Refused:
        baseline = None if recipe.is_baseline else self.baseline(context)
        context.progress(0, 3, f"building {recipe}")
        subject = self.build(recipe, context)
        with storing(f"the variant '{recipe}'"):
            path = save_graph(subject.graph, folder / MODEL_FILE)
        context.progress(1, 3, f"scoring {recipe}")
        session = open_session(path, self.threads)
        outputs = self._scored(recipe, session, baseline, max_drop, context)
        if isinstance(outputs, Refused):
            return outputs
        with storing(f"the variant '{recipe}'"):
            artifact = self._save(recipe, path)
        path = self.store.artifacts.path(artifact, MODEL_FILE)
        context.progress(2, 3, f"timing {recipe}")
        reference = path if baseline is None else self.path(baseline)
        timed = time_pair(
            reference,
            path,
            spread(self.dataset.val, self.batch),
            threads=self.threads,
            budget_s=_BUDGET_S,
        )
        data = path.read_bytes()
        sizes = (len(data), stored_bytes(data))
        if baseline is None:
            before = self._baseline_outputs.put(outputs)
        else:
            before = self._outputs_of_baseline(baseline, context)
        targets = np.asarray(self.dataset.val.targets)
        context.progress(3, 3, f"measured {recipe}")
        return Measured(
            recipe=str(recipe),
            recipe_json=recipe.to_json(),
            metric=self.metric,
            score=METRICS.get(self.metric).compute(outputs, targets),
            higher_is_better=METRICS.get(self.metric).higher_is_better,
            difference=_NO_DIFFERENCE
            if baseline is None
            else paired_difference(self.metric, before, outputs, targets),
            samples=len(targets),
            size_bytes=sizes[0],
            stored_bytes=sizes[1],
            latency_ms=timed.timing.p50_ms * _mood(timed, baseline),
            latency_p95_ms=timed.timing.p95_ms * _mood(timed, baseline),
            latency_ratio=timed.ratio,
            batch=timed.timing.batch,
            threads=self.threads,
            cpu=self.cpu.to_json(),
            artifact=artifact.digest,
            parity=subject.parity,
            reason=_reason(sizes, timed, baseline, _share_of_zeros(subject)),
            notes=self._notes(subject, outputs),
            cpu_s_per_1000=timed.cpu_s_per_1000,
            energy_j_per_1000=timed.energy_j_per_1000,
        )

    def _scored(
        self,
        recipe: Recipe,
        session: Session,
        baseline: Measured | None,
        max_drop: float | None,
        context: Context,
    ) -> np.ndarray | Refused:
        if baseline is None or max_drop is None:
            outputs = outputs_on(session, self.dataset.val, context)
            TASKS.get(self.description.task).check(outputs, self.description.labels)
            return outputs
        before = self._outputs_of_baseline(baseline, context)
        found = outputs_or_refusal(
            session, self.dataset.val, before, self.metric, max_drop, context, self.seed
        )
        return Refused(str(recipe), *found) if isinstance(found, tuple) else found

    def _save(self, recipe: Recipe, path: Path) -> Artifact:
        meta = {
            "description": self.description.to_json(),
            "parent": self.model.digest,
            "recipe": str(recipe),
        }
        beside = self.model.files if self.model.kind == "onnx" else {}
        return self.store.artifacts.save("onnx", {**beside, MODEL_FILE: path}, meta)

    def _notes(self, subject: Subject, outputs: np.ndarray) -> tuple[str, ...]:
        notes = list(subject.notes)
        if subject.format == "int8" and self.cpu.saturates:
            notes.append(f"{self.cpu.words}; {measure_saturation().words}")
        bad = int((~np.isfinite(outputs)).any(axis=tuple(range(1, outputs.ndim))).sum())
        if bad:
            notes.append(f"gives no number for {bad} of {len(outputs)} samples")
        return tuple(notes)

    def _outputs_of_baseline(self, baseline: Measured, context: Context) -> np.ndarray:
        known = self._baseline_outputs.get()
        if known is not None:
            return known
        session = open_session(self.path(baseline), self.threads)
        return self._baseline_outputs.put(outputs_on(session, self.dataset.val, context))

    def outputs_of_baseline(self, context: Context | None = None) -> np.ndarray:
        """Returns the baseline's outputs [N, …] on the whole validation split."""
        with tempfile.TemporaryDirectory() as folder:
            work = context or NullContext(Path(folder))
            return self._outputs_of_baseline(self.baseline(work), work)

    def _load_module(self) -> Any:
        if self._module is None:
            storage = optional.require("workbench.families.network", for_="loading a network")
            self._module = storage.load_network(self.store, self.model)
        return self._module

    def _model_path(self) -> Path:
        return self.store.model_path(self.model.files)

    @property
    def scored_by(self) -> dict[str, str]:
        """What tells this study from others of the model: its metric, if not the task's first."""
        return dict(self._other_metric)

    def _key(self, recipe: Recipe) -> str:
        return "measured:" + digest_json({**self._facts(recipe), **self._other_metric})

    def _facts(self, recipe: Recipe) -> dict[str, Any]:
        """Returns all that the outputs of a variant, and its times, depend on."""
        return {
            "version": _VERSION,
            "model": self.identity,
            "data": self.dataset.fingerprint,
            "recipe": recipe.to_json(),
            "libraries": self._libraries,
            "cpu": self.cpu.to_json(),
            "threads": self.threads,
            "batch": self.batch,
            "seed": self.seed,
        }


def front(measured: Sequence[Measured], x: str = "size_bytes", y: str = "score") -> list[Measured]:
    """Returns the Pareto front: small `x`, good `y` (whichever way the metric is good).

    Raises:
        InputError: There is no such figure.
    """
    figures = ("size_bytes", "stored_bytes", "latency_ms", "latency_p95_ms", "score")
    unknown = [name for name in (x, y) if name not in figures]
    if unknown:
        raise InputError(
            f"No figure {', '.join(map(repr, unknown))}.", hint=f"Figures: {', '.join(figures)}."
        )

    def cost(name: str, item: Measured) -> float:
        value = float(getattr(item, name))
        return -value if name == "score" and item.higher_is_better else value

    return pareto_front(measured, lambda item: cost(x, item), lambda item: -cost(y, item))


def _reason(
    sizes: tuple[int, int], timed: TimedPair, baseline: Measured | None, zeros: float
) -> str:
    if baseline is None:
        return ""
    before = Figures(
        baseline.size_bytes, baseline.stored_bytes, timed.baseline.p50_ms, timed.before
    )
    after = Figures(*sizes, timed.timing.p50_ms, timed.after, zeros)
    return describe(before, after, timed.ratio)


def _share_of_zeros(subject: Subject) -> float:
    weights = [value for value in initializers(subject.graph).values() if value.ndim > 1]
    total = sum(value.size for value in weights)
    return sum(int((value == 0).sum()) for value in weights) / total if total else 0.0


def _mood(timed: TimedPair, baseline: Measured | None) -> float:
    """Returns the factor that takes a time of this minute to the minute of the baseline's."""
    return 1.0 if baseline is None else baseline.latency_ms / timed.baseline.p50_ms
