"""What scikit-learn's gradient boosting reaches on a table: the score to compare one's own with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workbench.core.optional import require
from workbench.store.cache import Cache
from workbench.tasks import TASKS, primary_metric

if TYPE_CHECKING:
    from workbench.data.dataset import Dataset

_SEED = 0


def baseline_of(dataset: Dataset, cache: Cache) -> dict[str, Any] | None:
    """Returns `{"model", "metric", "score", "split", "samples"}` of a fit on train.

    The metric is the task's first, on the validation split; None where nothing can be fitted.
    Remembered by the dataset's fingerprint and scikit-learn's version.
    """
    name = TASKS.get(dataset.task).ensemble
    if name is None or dataset.train.targets.ndim > 1:
        return None
    sklearn = require("sklearn", for_="the baseline of a table")
    key = f"baseline:{dataset.artifact.digest}:{sklearn.__version__}"
    known = cache.get(key)
    if known is None:
        known = _fit(dataset, name)
        cache.put(key, known)
    return known


def _fit(dataset: Dataset, name: str) -> dict[str, Any]:
    ensemble = require("sklearn.ensemble", for_="the baseline of a table")
    model = getattr(ensemble, name)(random_state=_SEED)
    model.fit(dataset.train.inputs, dataset.train.targets)
    return {
        "model": name,
        "metric": primary_metric(dataset.task, dataset.labels),
        "score": float(model.score(dataset.val.inputs, dataset.val.targets)),
        "split": "val",
        "samples": len(dataset.val),
    }
