"""What scikit-learn's gradient boosting reaches on a table: the score to compare one's own with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workbench.core.optional import require
from workbench.store.cache import Cache

if TYPE_CHECKING:
    from workbench.data.dataset import Dataset

_SEED = 0


def baseline_of(dataset: Dataset, cache: Cache) -> dict[str, Any]:
    """Returns `{"model", "metric", "score", "split", "samples"}` of a fit on train.

    The metric is accuracy for classification and R² for regression, on the validation split.
    Remembered by the dataset's fingerprint and scikit-learn's version.
    """
    sklearn = require("sklearn", for_="the baseline of a table")
    key = f"baseline:{dataset.artifact.digest}:{sklearn.__version__}"
    known = cache.get(key)
    if known is None:
        known = _fit(dataset)
        cache.put(key, known)
    return known


def _fit(dataset: Dataset) -> dict[str, Any]:
    ensemble = require("sklearn.ensemble", for_="the baseline of a table")
    is_classes = dataset.task == "classification"
    name = f"HistGradientBoosting{'Classifier' if is_classes else 'Regressor'}"
    model = getattr(ensemble, name)(random_state=_SEED)
    model.fit(dataset.train.inputs, dataset.train.targets)
    return {
        "model": name,
        "metric": "accuracy" if is_classes else "r2",
        "score": float(model.score(dataset.val.inputs, dataset.val.targets)),
        "split": "val",
        "samples": len(dataset.val),
    }
