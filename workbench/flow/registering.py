"""From a model to the manifest of a version: everything needed to serve, repeat and judge it."""

from __future__ import annotations

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from workbench.core.energy import COUNTED, NO_COUNTER
from workbench.flow.exports import Export
from workbench.flow.resolve import Model
from workbench.store import Store

if TYPE_CHECKING:
    from workbench.data.dataset import Dataset

NOTEBOOK_VARIABLE = "WORKBENCH_NOTEBOOK_SHA256"
_LIBRARIES = ("maas-workbench", "torch", "onnx", "onnxruntime", "numpy")


def manifest_of(
    store: Store, model: Model, export: Export, dataset: Dataset | None
) -> dict[str, Any]:
    """Returns the manifest of a version; the same model on the same machine gives the same one."""
    run = _producing_run(store, model)
    return {
        "format": 1,
        "files": {name: blob.to_json() for name, blob in export.artifact.files.items()},
        "description": dict(export.artifact.meta["description"]),
        "data": _data(dataset),
        "metrics": {k: v for k, v in sorted((model.metrics or {}).items()) if _is_plain(v)},
        "parity": None if export.parity is None else dict(export.parity),
        "parent": model.parent,
        "recipe": model.recipe,
        "config": None if run is None else dict(run.config),
        "seed": None if run is None else run.config.get("seed"),
        "energy": _energy(model),
        "notebook_sha256": os.environ.get(NOTEBOOK_VARIABLE),
        "environment": environment(),
    }


def environment() -> dict[str, Any]:
    """Returns Python, libraries and machine, as far as they matter for repeating a result."""
    return {
        "python": platform.python_version(),
        "platform": f"{sys.platform}-{platform.machine()}",
        "libraries": {name: found for name in _LIBRARIES if (found := _version(name))},
    }


def _producing_run(store: Store, model: Model) -> Any:
    if model.parent is None or not model.parent.startswith("run:"):
        return None
    return store.runs.proven(model.parent.removeprefix("run:"))


def _data(dataset: Dataset | None) -> dict[str, Any] | None:
    if dataset is None:
        return None
    return {
        "ref": dataset.ref,
        "fingerprint": dataset.fingerprint,
        "artifact": dataset.artifact.digest,
    }


def _energy(model: Model) -> dict[str, Any]:
    metrics = model.metrics or {}
    joules = metrics.get("train_energy_j")
    return {
        "energy_j": joules,
        "cpu_seconds": metrics.get("train_cpu_seconds"),
        "method": NO_COUNTER if joules is None else COUNTED,
    }


def _is_plain(value: Any) -> bool:
    return isinstance(value, str | bool | int) or (isinstance(value, float) and value == value)


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
