"""Makes and opens studies; `study` is what a study does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.core.lazy import lazy
from workbench.core.refs import Ref
from workbench.data.dataset import Dataset
from workbench.evaluation import checked_metrics
from workbench.flow.resolve import Model
from workbench.flow.study import Study
from workbench.flow.variant import Variant
from workbench.store import Store
from workbench.tasks import primary_metric

if TYPE_CHECKING:
    from workbench.flow import evaluating, own_module
else:
    evaluating = lazy("workbench.flow.evaluating")
    own_module = lazy("workbench.flow.own_module")


def make_study(
    store: Store, model: Model, dataset: Dataset, *, metric: str | None = None, inline: bool
) -> Study:
    """Returns the study of a model on a dataset, its baseline measured."""
    evaluating.check_fit(model.description, dataset)
    first = primary_metric(dataset.task, dataset.labels)
    if metric is not None:
        checked_metrics([metric], dataset.task, dataset.labels)
    asked = {
        "loss": None if model.loss is None else own_module.digest_of(model.loss),
        "metric": None if metric == first else metric,
    }
    own = {name: value for name, value in asked.items() if value is not None}
    config = {"model_ref": model.ref, **own}
    record = store.studies.open(model.artifact.digest, dataset.artifact.digest, config, **own)
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
