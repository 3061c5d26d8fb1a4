"""A compression study as the user holds it: a baseline, variants measured as deployed, a front."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.compression.front import pareto_front
from workbench.compression.measured import Measured
from workbench.core.errors import InputError, StateError
from workbench.core.lazy import lazy
from workbench.core.shown import Shown
from workbench.core.storage import bordered
from workbench.data.dataset import Dataset, open_dataset
from workbench.evaluation import checked_metrics
from workbench.flow.measuring import EventSink
from workbench.flow.progress import Bar
from workbench.flow.refining import Refining
from workbench.flow.resolve import Model
from workbench.flow.study_work import StudyWork
from workbench.flow.variant import Variant, confirmed_key
from workbench.store import Context, Store
from workbench.store.studies import StudyRecord
from workbench.tasks import primary_metric

if TYPE_CHECKING:
    from workbench.compression import estimator as estimators
    from workbench.compression import recipe as recipes
    from workbench.compression.confirmation import Confirmed
    from workbench.compression.estimate import Estimate
    from workbench.flow import (
        comparing,
        study_bench,
        study_table,
        tradeoff_plot,
    )
    from workbench.flow import report as reports
    from workbench.flow.comparing import VariantComparison
    from workbench.flow.targets import exchange, target
    from workbench.flow.targets.target import Target
else:
    comparing = lazy("workbench.flow.comparing")
    recipes = lazy("workbench.compression.recipe")
    exchange = lazy("workbench.flow.targets.exchange")
    target = lazy("workbench.flow.targets.target")
    reports = lazy("workbench.flow.report")
    study_bench = lazy("workbench.flow.study_bench")
    study_table = lazy("workbench.flow.study_table")
    tradeoff_plot = lazy("workbench.flow.tradeoff_plot")

_FIGURES = ("size_bytes", "stored_bytes", "latency_ms", "score")


@bordered(root=lambda study: study._store.home.root)
class Study(Shown):
    """The study of one model on one dataset. All it knows is stored; it can be opened anywhere.

    Args:
        store: The workspace.
        record: What is stored of the study.
        model: The model, where only this process has its live module.
        inline: Whether to measure in this process, as in batch.
    """

    shown_as = "study"

    def __init__(
        self, store: Store, record: StudyRecord, model: Model | None = None, *, inline: bool = False
    ) -> None:
        self._store = store
        self._record = record
        self._model = model
        self._work = StudyWork(store, record, model, inline=inline)
        self._search_id: str | None = None

    def __repr__(self) -> str:
        return f"Study({self.ref!r}, {len(self.variants)} variants)"

    @property
    def ref(self) -> str:
        """The study's ref."""
        return self._record.ref

    @property
    def is_inline(self) -> bool:
        """Whether it measures in this process."""
        return self._work.inline

    @property
    def record(self) -> StudyRecord:
        """What is stored of the study."""
        return self._record

    @property
    def data(self) -> Dataset:
        """The dataset."""
        return open_dataset(self._store, self._record.dataset)

    @property
    def metric(self) -> str:
        """Key of what scores are."""
        data = self.data
        return str(self._record.config.get("metric") or primary_metric(data.task, data.labels))

    def scored_by(self, metric: str) -> Study:
        """Returns the study of the same model on the same data with another score.

        Args:
            metric: Key of a metric that judges the task.

        Raises:
            UnsupportedError: It does not judge the task.
        """
        data, record = self.data, self._record
        checked_metrics([metric], data.task, data.labels)
        is_first = metric == primary_metric(data.task, data.labels)
        asked = {"loss": record.config.get("loss"), "metric": None if is_first else metric}
        own = {name: value for name, value in asked.items() if value is not None}
        config = {"model_ref": record.config.get("model_ref"), **own}
        opened = self._store.studies.open(record.model, record.dataset, config, **own)
        study = Study(self._store, opened, self._model, inline=self.is_inline)
        study.measure("")
        return study

    @property
    def baseline(self) -> Variant:
        """The model itself, measured."""
        return self.measure("")

    @property
    def variants(self) -> list[Variant]:
        """All measured variants, the baseline among them, oldest first."""
        return list(self._work.variants.all())

    def measure(
        self,
        recipe: str | Sequence[Any] | Mapping[str, Any],
        *,
        on_event: EventSink | None = None,
    ) -> Variant:
        """Returns a variant with its figures, measured on its ONNX file as it would be deployed.

        What was measured before is not measured again.

        Args:
            recipe: As in "prune:0.5 + quantize_static:8", or the JSON form, or a mapping of
                layers to recipes.
            on_event: Called with each step of the way; by default a bar shows them.

        Raises:
            InputError: The recipe is not valid, with all problems and the nearest names.
            UnsupportedError: It cannot work on this model, with the reason.
        """
        parsed = recipes.parse(recipe) if recipe else recipes.Recipe()
        known = self._work.variants.find(str(parsed))
        if known is not None and known.path.exists():
            return known
        with Bar("measure") as bar:
            tell = on_event or bar.show
            if not parsed.is_baseline and self._work.variants.find(str(recipes.Recipe())) is None:
                self.keep(self._measured(recipes.Recipe(), tell))
            return self.keep(self._measured(parsed, tell))

    def search(
        self,
        max_drop: float = 0.01,
        max_size: str | float | None = None,
        max_latency_ms: float | None = None,
        minimize: str = "size_bytes",
        budget: str | float = "60 s",
        *,
        metric: str | None = None,
        on_event: EventSink | None = None,
    ) -> Variant:
        """Returns the best variant that it finds within the limits and the time.

        Every variant it measures is stored at once, so nothing is lost however it ends: by its
        budget, by `stop` of its run (`wb.runs("search")`), by Ctrl-C, or by a power cut. Called
        again it continues from what is there. If no variant keeps all limits, the nearest one is
        returned and `.found.words` names the limit that binds. The choice is scored once on
        samples that no choice was made by, the test split: `.confirmed`.

        Args:
            max_drop: Largest accepted loss of the score, absolute, in the metric's units: 0.01 is
                one point of accuracy.
            max_size: Largest accepted file, as "60 kB" or in bytes; None for any.
            max_latency_ms: Largest accepted latency in milliseconds; None for any.
            minimize: "size_bytes" or "latency_ms".
            budget: Wall time as "60 s", "2 min" or in seconds, the confirmation included.
            metric: What the score is, if another than this study's: then the study that is
                `scored_by` it searches, and keeps what it measures.
            on_event: Called with each event; by default a bar shows them.

        Raises:
            InputError: With everything that is wrong with these values.
        """
        limits: dict[str, Any] = {
            "max_drop": max_drop,
            "max_size": max_size,
            "max_latency_ms": max_latency_ms,
            "minimize": minimize,
            "budget": budget,
        }
        if metric is not None and metric != self.metric:
            return self.scored_by(metric).search(**limits, on_event=on_event)
        work = study_bench.searching_of(self, limits)
        self._search_id = work.run_id
        try:
            with Bar("search") as bar:
                best, report = work.run(on_event or bar.show)
        finally:
            self._search_id = None
        return self._found(best.recipe).with_report(report)

    def compare(
        self, variant: Variant | str | Sequence[Any] | Mapping[str, Any]
    ) -> VariantComparison:
        """Returns what a variant changes: flipped answers, harmed classes, blame, what it saves.

        Args:
            variant: A variant of this study, or a recipe, which is measured if it was not yet.

        Returns:
            A record that prints as text, with `.flips`, `.classes` (most harmed first),
            `.changes` (regression), `.blame`, `.record`, `.sample(flip)` and `.to_json()`.
        """
        own = variant if isinstance(variant, Variant) else self.measure(variant)
        with Bar("compare") as bar:
            return comparing.compare(self, own, bar.show)

    @property
    def targets(self) -> dict[str, Target]:
        """Machines on which the variants were timed, besides this one, by name."""
        stored = self._store.cache.get(f"targets:{self._record.id}") or {}
        return {name: target.Target.from_json(row) for name, row in stored.items()}

    def export_bench(self, folder: Path | str) -> Path:
        """Writes a folder that times the variants on another machine; returns its path.

        It needs only numpy and onnxruntime there: `python measure_here.py` writes `result.json`.

        Args:
            folder: Where to.

        Raises:
            InputError: It cannot be written, or holds other files.
        """
        made: Path = exchange.export_study(self, Path(folder))
        return made

    def import_bench(self, path: Path | str, name: str | None = None) -> Target:
        """Takes what another machine measured as a further target of the study.

        Args:
            path: The `result.json`.
            name: What to call the machine; by default as it calls itself.

        Raises:
            InputError: With everything that is wrong with the file.
        """
        found = exchange.read_result(Path(path), self.ref, [v.digest for v in self.variants])
        found["name"] = name or found["name"]
        key = f"targets:{self._record.id}"
        self._store.cache.put(key, {**(self._store.cache.get(key) or {}), found["name"]: found})
        return self.targets[found["name"]]

    def cancel(self) -> None:
        """Ends the measurement or search under way, if any; what was measured is kept."""
        if self._search_id is not None:
            self._store.runs.set_control(self._search_id, "stop")
        elif self._work.worker is not None:
            self._work.worker.cancel()

    def estimate(self, recipe: str | Sequence[Any] | Mapping[str, Any]) -> Estimate:
        """Returns what a recipe would measure: score, size, latency, MACs, each with a 90 % band.

        The first answers come from gradients at once. Where the study is not inline, they get
        better by themselves: a thread fills the table and takes quick looks meanwhile.

        Args:
            recipe: As for `measure`.

        Raises:
            InputError: The recipe is not valid.
        """
        return self._work.estimate(recipe)

    def learn(self) -> None:
        """Shows the estimator what was measured since the last time; `estimate` does so, too."""
        self._work.learn()

    @property
    def refining(self) -> Refining:
        """Makes estimates better in the background: `start`, `wait`, `stop`, `is_running`."""
        return self._work.refining

    def refine(self) -> None:
        """Fills the estimator's table and takes quick looks now; kept in the store."""
        with Bar("refine") as bar:
            self.estimator.refine(self._work.context(bar.show))

    @property
    def estimator(self) -> estimators.Estimator:
        """What `estimate` asks; `estimator.report()` tells how well it did so far."""
        return self._work.estimator

    def front(self, x: str = "size_bytes", y: str = "score") -> list[Variant]:
        """Returns the variants that no other beats in both figures, smallest `x` first.

        Args:
            x: "size_bytes", "stored_bytes" or "latency_ms".
            y: The same, or "score".

        Raises:
            InputError: No such figure.
        """
        unknown = [name for name in (x, y) if name not in _FIGURES]
        if unknown:
            raise InputError(
                f"No figure {', '.join(map(repr, unknown))}.",
                hint=f"Figures: {', '.join(_FIGURES)}.",
            )
        return pareto_front(self.variants, lambda v: _cost(v, x), lambda v: -_cost(v, y))

    def smallest(self, max_drop: float = 0.01) -> Variant:
        """Returns the smallest measured variant whose score drops by at most `max_drop`.

        The drop is the measured one; its interval may reach further, see `variant.difference`.

        Raises:
            StateError: Nothing was measured yet.
        """
        within = [v for v in self.variants if v.drop <= max_drop]
        if not within:
            raise StateError("No variant was measured.", hint="study.measure(recipe) measures one.")
        return min(within, key=lambda v: (v.size_bytes, v.drop, v.latency_ms))

    def plot(self, x: str = "size_bytes") -> Any:
        """Returns a plotly figure: score over `x`, with baseline, variants and front."""
        return tradeoff_plot.figure(self, x)

    def report(
        self,
        path: Path | str,
        chosen: Variant | None = None,
        facts: Mapping[str, Any] | None = None,
    ) -> Path:
        """Writes a self-contained HTML page with plot, table and verdict; returns its path.

        Args:
            path: Where to.
            chosen: The variant that was chosen; by default `smallest()`.
            facts: Further lines, as the served accuracy.
        """
        written: Path = reports.write_report(self, Path(path), chosen or self.smallest(), facts)
        return written

    def rows(self, recipes: Sequence[str]) -> Iterator[str]:
        """Measures recipes one by one, yielding header, lines and notes of the table."""
        yield study_table.HEADER
        yield study_table.row(self.baseline)
        done = []
        for recipe in recipes:
            done.append(self.measure(recipe))
            yield study_table.row(done[-1])
        yield from study_table.notes(self.baseline, done)

    def verdict(self, chosen: Variant) -> str:
        """Returns one honest sentence on what a variant gains and loses."""
        return str(study_table.sentence(chosen))

    def table(self) -> str:
        """Returns the variants as a text table."""
        return str(study_table.text(self.baseline, self.variants))

    def as_model(self) -> Model:
        """Returns the baseline as every verb takes it."""
        return self.baseline.as_model()

    def to_json(self) -> dict[str, Any]:
        """Returns the study as JSON-able values."""
        return {
            "ref": self.ref,
            "data": self.data.ref,
            "model": self._record.config.get("model_ref"),
            "variants": [variant.to_json() for variant in self.variants],
        }

    def _found(self, recipe: str) -> Variant:
        kept = self._work.variants.find(recipe)
        if kept is None:
            raise StateError(f"The variant '{recipe}' was not stored.")
        return kept

    def keep(self, measured: Measured) -> Variant:
        """Stores what was measured of a recipe and returns it as a variant."""
        record = self._record
        self._store.studies.add_variant(
            record.id, measured.artifact, measured.recipe, measured.to_json()
        )
        return self._found(measured.recipe)

    def keep_confirmed(self, artifact: str, confirmed: Confirmed) -> None:
        """Stores how a variant did on unseen samples."""
        self._store.cache.put(confirmed_key(self._record.id, artifact), confirmed.to_json())

    def confirmation_of(self, artifact: str) -> Confirmed | None:
        """Returns how a variant did on unseen samples, if that is known."""
        return next(v for v in self._work.variants.all() if v.digest == artifact).confirmation

    def ask(
        self, task: Mapping[str, Any], tell: EventSink, context: Context | None = None
    ) -> dict[str, Any]:
        """Returns the answer to a task (see `measuring_tasks`), by the worker or inline.

        Args:
            task: What to do, JSON-able.
            tell: Called with each event.
            context: Inline: stop and pause; by default never.
        """
        return self._work.ask(task, tell, context)

    def get_ready(self) -> None:
        """Starts the measuring process, as something will be measured soon."""
        self._work.get_ready()

    def _measured(self, recipe: Any, tell: EventSink) -> Measured:
        answer = self.ask({"task": "measure", "recipe": recipe.to_json()}, tell)
        return Measured.from_json(answer["measured"])


def _cost(variant: Variant, figure: str) -> float:
    value = float(getattr(variant, figure))
    return -value if figure == "score" and variant.higher_is_better else value
