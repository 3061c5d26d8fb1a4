"""Exports: a network becomes one ONNX artifact, made once for each content."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.core.files import writing
from workbench.core.ids import digest_json
from workbench.core.lazy import lazy
from workbench.core.records import Description
from workbench.flow.resolve import ONNX, Model
from workbench.store import MODEL_FILE, Artifact, Store
from workbench.store.scratch import scratch_prefix

if TYPE_CHECKING:
    from torch import nn

    from workbench.data.dataset import Dataset
    from workbench.exporting import step as exporting_step
    from workbench.families import network as networks
else:
    exporting_step = lazy("workbench.exporting.step")
    networks = lazy("workbench.families.network")

_LIBRARIES = ("torch", "onnx", "onnxscript", "onnxruntime", "maas-workbench")


@dataclass(frozen=True)
class Export:
    """A model as an ONNX file. `parity` is how far it is from the module; None if it was ONNX."""

    artifact: Artifact
    path: Path
    parity: Mapping[str, Any] | None
    notes: tuple[str, ...] = ()

    @property
    def size_bytes(self) -> int:
        """Size of the file."""
        return self.path.stat().st_size


def export_model(store: Store, model: Model, dataset: Dataset, exporter: str = "onnx") -> Export:
    """Returns the ONNX form of a model, exporting it if that was not done before."""
    if model.artifact.kind == ONNX:
        return as_export(store, model.artifact)
    key = digest_json(
        {
            "step": "export",
            "model": model.artifact.digest,
            "exporter": exporter,
            "libraries": {name: version(name) for name in _LIBRARIES},
        }
    )
    known = store.cache.get(key)
    artifact = None if known is None else store.artifacts.adopt(known["artifact"])
    if artifact is None:
        module = networks.load_network(store, model.artifact)
        meta = {"parent": model.artifact.digest}
        artifact = export_module(store, module, model.description, dataset, meta, exporter)
        store.cache.put(key, {"artifact": artifact.digest})
    return as_export(store, artifact)


def export_module(
    store: Store,
    module: nn.Module,
    description: Description,
    dataset: Dataset,
    meta: Mapping[str, Any] | None = None,
    exporter: str = "onnx",
) -> Artifact:
    """Exports a live module and saves the file with what was proven of it."""
    with tempfile.TemporaryDirectory(dir=store.home.scratch, prefix=scratch_prefix()) as folder:
        done = exporting_step.export(module, description, dataset, Path(folder), exporter=exporter)
        return store.artifacts.save(
            ONNX,
            {MODEL_FILE: done.path},
            {
                **(meta or {}),
                "description": description.to_json(),
                "parity": done.parity.to_json(),
                "exporter": done.exporter,
                "notes": list(done.notes),
            },
        )


def as_export(store: Store, artifact: Artifact) -> Export:
    """Returns an ONNX artifact as an export."""
    return Export(
        artifact=artifact,
        path=store.model_path(artifact.files),
        parity=artifact.meta.get("parity"),
        notes=tuple(artifact.meta.get("notes") or ()),
    )


def copied(export: Export, path: Path | str) -> Export:
    """Copies an export's files to a path of the user's and returns it with that path.

    The graph takes the name that was given; what belongs to it lies beside it.

    Raises:
        InputError: The path cannot be written.
    """
    is_folder = str(path).endswith(("/", os.sep)) or Path(path).is_dir()
    target = Path(path) / MODEL_FILE if is_folder else Path(path)
    with writing(target):
        for name in export.artifact.files:
            place = target if name == MODEL_FILE else target.parent / name
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(export.path if name == MODEL_FILE else export.path.parent / name, place)
    return replace(export, path=target)
