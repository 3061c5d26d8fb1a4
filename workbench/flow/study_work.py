"""What a study works with: the engine or the measuring process, the estimator, its refinement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from workbench.core.lazy import lazy
from workbench.data.dataset import open_dataset
from workbench.flow.measuring import EventSink, MeasuringWorker
from workbench.flow.refining import Refining
from workbench.flow.study_variants import StudyVariants
from workbench.flow.variant import Variant
from workbench.store import Context, NullContext, Store
from workbench.store.studies import StudyRecord

if TYPE_CHECKING:
    from workbench.compression import estimator as estimators
    from workbench.compression import study as engines
    from workbench.compression.estimate import Estimate
    from workbench.flow import measuring_tasks as tasks
    from workbench.flow.resolve import Model
else:
    engines = lazy("workbench.compression.study")
    estimators = lazy("workbench.compression.estimator")
    tasks = lazy("workbench.flow.measuring_tasks")


class StudyWork:
    """See the module's docstring. Each part is made when first needed.

    Args:
        store: The workspace.
        record: What is stored of the study.
        model: The model, where only this process has its live module.
        inline: Whether to measure in this process, as in batch.

    Attributes:
        variants: What was measured so far.
        worker: The measuring process; None before the first measurement, and inline.
    """

    def __init__(
        self, store: Store, record: StudyRecord, model: Model | None, *, inline: bool
    ) -> None:
        self.inline = inline
        self.variants = StudyVariants(store, record)
        self.worker: MeasuringWorker | None = None
        self._store = store
        self._record = record
        self._module = None if model is None else model.module
        self._loss = None if model is None else model.loss
        self._engine: engines.StudyEngine | None = None
        self._estimator: estimators.Estimator | None = None
        self._refining: Refining | None = None
        self._learned: Sequence[Variant] = ()
        self._busy = 0

    def ask(
        self, task: Mapping[str, Any], tell: EventSink, context: Context | None = None
    ) -> dict[str, Any]:
        """Returns the answer to a task (see `measuring_tasks`), by the worker or inline."""
        if self.inline:
            return dict(tasks.perform(self.engine, task, context or self.context(tell)))
        self._busy += 1
        try:
            return self._made_worker().ask(task, tell)
        finally:
            self._busy -= 1

    def get_ready(self) -> None:
        """Starts the measuring process, as something will be measured soon."""
        if not self.inline:
            self._made_worker().start()

    def _made_worker(self) -> MeasuringWorker:
        if self.worker is None:
            live = None if self._module is None else (self._module, self._loss)
            self.worker = MeasuringWorker(self._store, self._record.id, live)
        return self.worker

    def estimate(self, recipe: str | Sequence[Any] | Mapping[str, Any]) -> Estimate:
        """Returns what a recipe would measure, by all that was measured so far, by whomever."""
        self.learn()
        said = self.estimator.estimate(recipe)
        if not self.inline:
            self.refining.start()
        return said

    def learn(self) -> None:
        """Shows the estimator the variants that came since the last time."""
        variants = self.variants.all()
        if variants is not self._learned:
            for variant in variants:
                self.estimator.observe(variant.measured)
            self._learned = variants

    @property
    def engine(self) -> engines.StudyEngine:
        """Measures in this process."""
        if self._engine is None:
            artifact = self._store.artifacts.get(self._record.model)
            data = open_dataset(self._store, self._record.dataset)
            self._engine = engines.StudyEngine(
                self._store,
                artifact,
                data,
                self._module,
                loss=self._loss,
                metric=self._record.config.get("metric"),
            )
        return self._engine

    @property
    def estimator(self) -> estimators.Estimator:
        """What `estimate` asks."""
        if self._estimator is None:
            self._estimator = estimators.Estimator(self.engine)
        return self._estimator

    @property
    def refining(self) -> Refining:
        """Makes estimates better in the background, while nothing is measured."""
        if self._refining is None:
            self._refining = Refining(self.estimator, lambda: self._busy > 0)
        return self._refining

    def context(self, tell: EventSink) -> NullContext:
        """Returns a context that shows progress and never stops."""
        return NullContext(self._store.home.scratch, self._store.artifacts, tell)
