"""A compression study as the user holds it: a baseline, variants measured as deployed, a front."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.compression.front import pareto_front
from workbench.compression.measured import Measured
from workbench.core.errors import InputError, StateError
from workbench.core.lazy import lazy
from workbench.core.refs import Ref
from workbench.core.shown import Shown
from workbench.data.dataset import Dataset, open_dataset
from workbench.flow.measuring import EventSink, MeasuringWorker
from workbench.flow.progress import Bar
from workbench.flow.refining import Refining
from workbench.flow.resolve import Model
from workbench.flow.variant import Variant
from workbench.store import NullContext, Store
from workbench.store.studies import StudyRecord

if TYPE_CHECKING:
    from workbench.compression import estimator as estimators
    from workbench.compression import recipe as recipes
    from workbench.compression import study as engines
    from workbench.compression.estimate import Estimate
    from workbench.flow import evaluating, own_module, study_table, tradeoff_plot
    from workbench.flow import report as reports
else:
    engines = lazy("workbench.compression.study")
    estimators = lazy("workbench.compression.estimator")
    recipes = lazy("workbench.compression.recipe")
    evaluating = lazy("workbench.flow.evaluating")
    own_module = lazy("workbench.flow.own_module")
    reports = lazy("workbench.flow.report")
    study_table = lazy("workbench.flow.study_table")
    tradeoff_plot = lazy("workbench.flow.tradeoff_plot")

_FIGURES = ("size_bytes", "stored_bytes", "latency_ms", "score")


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
        self._module = None if model is None else model.module
        self._loss = None if model is None else model.loss
        self._inline = inline
        self._engine: Any = None
        self._estimator: Any = None
        self._refining: Refining | None = None
        self._busy = 0
        self._worker: MeasuringWorker | None = None

    def __repr__(self) -> str:
        return f"Study({self.ref!r}, {len(self.variants)} variants)"

    @property
    def ref(self) -> str:
        """The study's ref."""
        return self._record.ref

    @property
    def record(self) -> StudyRecord:
        """What is stored of the study."""
        return self._record

    @property
    def data(self) -> Dataset:
        """The dataset."""
        return open_dataset(self._store, self._record.dataset)

    @property
    def baseline(self) -> Variant:
        """The model itself, measured."""
        return self.measure("")

    @property
    def variants(self) -> list[Variant]:
        """All measured variants, the baseline among them, oldest first."""
        records = self._store.studies.variants(self._record.id)
        return [Variant(self._store, self._record, record) for record in records]

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
        known = self._known(str(parsed))
        if known is not None and known.path.exists():
            return known
        with Bar("measure") as bar:
            tell = on_event or bar.show
            if not parsed.is_baseline and self._known(str(recipes.Recipe())) is None:
                self._keep(self._measured(recipes.Recipe(), tell))
            return self._keep(self._measured(parsed, tell))

    def cancel(self) -> None:
        """Ends the measurement under way, if there is one; what was measured is kept."""
        if self._worker is not None:
            self._worker.cancel()

    def estimate(self, recipe: str | Sequence[Any] | Mapping[str, Any]) -> Estimate:
        """Returns what a recipe would measure: score, size, latency, MACs, each with a 90 % band.

        The first answers come from gradients at once. Where the study is not inline, they get
        better by themselves: a thread fills the table and takes quick looks meanwhile.

        Args:
            recipe: As for `measure`.

        Raises:
            InputError: The recipe is not valid.
        """
        for variant in self.variants:
            self.estimator.observe(variant.measured)
        said: Estimate = self.estimator.estimate(recipe)
        if not self._inline:
            self.refining.start()
        return said

    @property
    def refining(self) -> Refining:
        """Makes estimates better in the background: `start`, `wait`, `stop`, `is_running`."""
        if self._refining is None:
            self._refining = Refining(self.estimator, lambda: self._busy > 0)
        return self._refining

    def refine(self) -> None:
        """Fills the estimator's table and takes quick looks now; kept in the store."""
        with Bar("refine") as bar:
            self.estimator.refine(self._context(bar.show))

    @property
    def estimator(self) -> estimators.Estimator:
        """What `estimate` asks; `estimator.report()` tells how well it did so far."""
        if self._estimator is None:
            self._estimator = estimators.Estimator(self._own_engine())
        made: estimators.Estimator = self._estimator
        return made

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

    def _known(self, recipe: str) -> Variant | None:
        return next((v for v in self.variants if v.recipe == recipe), None)

    def _keep(self, measured: Measured) -> Variant:
        record = self._record
        self._store.studies.add_variant(
            record.id, measured.artifact, measured.recipe, measured.to_json()
        )
        kept = self._known(measured.recipe)
        if kept is None:
            raise StateError(f"The variant '{measured.recipe}' was not stored.")
        return kept

    def _live(self) -> tuple[Any, Any] | None:
        return None if self._module is None else (self._module, self._loss)

    def _measured(self, recipe: Any, tell: EventSink) -> Measured:
        if not self._inline:
            if self._worker is None:
                self._worker = MeasuringWorker(self._store, self._record.id, self._live())
            self._busy += 1
            try:
                return Measured.from_json(self._worker.measure(recipe.to_json(), tell))
            finally:
                self._busy -= 1
        measured: Measured = self._own_engine().measure(recipe, self._context(tell))
        return measured

    def _own_engine(self) -> Any:
        if self._engine is None:
            artifact = self._store.artifacts.get(self._record.model)
            self._engine = engines.StudyEngine(
                self._store, artifact, self.data, self._module, loss=self._loss
            )
        return self._engine

    def _context(self, tell: EventSink) -> NullContext:
        return NullContext(self._store.home.scratch, self._store.artifacts, tell)


def make_study(store: Store, model: Model, dataset: Dataset, *, inline: bool) -> Study:
    """Returns the study of a model on a dataset, its baseline measured."""
    evaluating.check_fit(model.description, dataset)
    config = {"model_ref": model.ref}
    loss = None if model.loss is None else own_module.digest_of(model.loss)
    record = store.studies.open(model.artifact.digest, dataset.artifact.digest, config, loss=loss)
    study = Study(store, record, model, inline=inline)
    study.measure("")
    return study


def open_study(store: Store, study_id: str, *, inline: bool = False) -> Study:
    """Returns a study by its id."""
    return Study(store, store.studies.get(study_id), inline=inline)


def find(store: Store, ref: Ref) -> Study | Variant:
    """Returns the study or variant that a ref names."""
    if ref.kind == "study":
        return open_study(store, ref.name)
    record = store.studies.find_variant(ref.name)
    return Variant(store, store.studies.get(record.study), record)


def _cost(variant: Variant, figure: str) -> float:
    value = float(getattr(variant, figure))
    return -value if figure == "score" and variant.higher_is_better else value
