"""Structures: each shape of the network is exported once, and remembered with its fold map."""

from __future__ import annotations

import functools
import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from workbench.compression import batch_norm
from workbench.compression.method import StructureMethod
from workbench.compression.recipe import Step
from workbench.compression.subject import Layer, Subject, find_layers, torch_weights
from workbench.compression.tools import Tools, spread
from workbench.core import optional
from workbench.core.batch import Batch
from workbench.core.errors import IntegrityError
from workbench.core.ids import digest_json
from workbench.core.records import Description
from workbench.exporting import FoldMap, export_samples
from workbench.exporting.graph import load_graph
from workbench.exporting.prepare import prepare
from workbench.exporting.state import state_of
from workbench.store import MODEL_FILE, Artifact, Store

KIND = "structure"
_SAMPLES = 42
_VERSION = 1


class Structures:
    """Exports structures and finds them again.

    Args:
        store: The workspace's store.
        identity: What the base model is: digest of its weights and form.
        versions: Of the libraries an export depends on.
    """

    def __init__(self, store: Store, identity: str, versions: Mapping[str, str]) -> None:
        self._store = store
        self._identity = identity
        self._versions = dict(versions)

    def base(self, load: Callable[[], Any], description: Description, tools: Tools) -> Subject:
        """Returns the unchanged model as a subject, exported if it is not known yet.

        Args:
            load: Returns the torch module; called when it is needed.
            description: What the model says of itself.
            tools: Samples and progress of the export.
        """
        key = self._key("base", [])
        artifact = self._known(key)
        if artifact is None:
            artifact = self._export(key, load(), description, tools, ())
        return self._subject(artifact, load, description)

    def changed(
        self, subject: Subject, step: Step, layers: tuple[Layer, ...], tools: Tools
    ) -> Subject:
        """Returns `subject` after one structural step; done, fine-tuned and exported only once."""
        plugin = step.plugin
        if not isinstance(plugin, StructureMethod):
            raise IntegrityError(f"'{step.method}' does not change the structure.")
        names = [layer.name for layer in layers]
        key = self._key(
            subject.structure, [step.to_json(), names, tools.data.fingerprint, tools.seed]
        )
        artifact = self._known(key)
        load: Callable[[], Any]
        if artifact is None:
            result = plugin.change_structure(subject, layers, step.config, tools)
            module = result.module
            rows = ({"method": step.method, **result.history},)
            artifact = self._export(
                key, module, subject.description, tools, (*subject.history, *rows), result.notes
            )
            load = functools.partial(_itself, module)
        else:
            load = functools.cache(functools.partial(self._rebuilt, plugin, subject, artifact))
        return self._subject(artifact, load, subject.description).with_notes(*subject.notes)

    def _rebuilt(self, plugin: StructureMethod, subject: Subject, artifact: Artifact) -> Any:
        history = artifact.meta["history"][-1]
        shape = subject.description.signature.inputs[0].shape[1:]
        module = plugin.rebuild(subject.module, history, tuple(int(size) for size in shape))
        return batch_norm.with_state(module, self._weights(artifact))

    def _export(
        self,
        key: str,
        module: Any,
        description: Description,
        tools: Tools,
        history: Sequence[Mapping[str, Any]],
        notes: tuple[str, ...] = (),
    ) -> Artifact:
        tools.context.progress(0, 1, "exporting to ONNX")
        samples = spread(tools.data.val, _SAMPLES)
        with tempfile.TemporaryDirectory() as folder:
            exported = export_samples(module, description, samples, Path(folder))
            save = optional.require("safetensors.numpy", for_="saving weights").save
            artifact = self._store.artifacts.save(
                KIND,
                {MODEL_FILE: exported.path, "weights.safetensors": save(state_of(module))},
                {
                    "history": json.loads(json.dumps(list(history))),
                    "fold_map": exported.fold_map.to_json(),
                    "parity": exported.parity.to_json(),
                    "exporter": exported.exporter,
                    "structure": exported.structure,
                    "weights": torch_weights(module),
                    "notes": [*exported.notes, *notes],
                },
            )
        self._store.cache.put(key, {"artifact": artifact.digest})
        return artifact

    def _subject(
        self, artifact: Artifact, load: Callable[[], Any], description: Description
    ) -> Subject:
        graph = load_graph(self._store.artifacts.path(artifact, MODEL_FILE))
        meta = artifact.meta
        fold_map = FoldMap.from_json(meta["fold_map"])
        known = meta.get("weights")  # older ones do not say
        weights = torch_weights(load()) if known is None else [(name, kind) for name, kind in known]
        return Subject(
            graph=graph,
            description=description,
            layers=find_layers(graph, weights, fold_map),
            origin=graph,
            structure=artifact.digest,
            load=load,
            state=self._weights(artifact),
            fold_map=fold_map,
            history=tuple(meta["history"]),
            parity=meta["parity"]["max_error"],
            notes=tuple(meta["notes"]),
        )

    def _weights(self, artifact: Artifact) -> dict[str, np.ndarray]:
        load = optional.require("safetensors.numpy", for_="loading weights").load
        path = self._store.artifacts.path(artifact, "weights.safetensors")
        return dict(load(path.read_bytes()))

    def _known(self, key: str) -> Artifact | None:
        found = self._store.cache.get(key)
        return None if found is None else self._store.artifacts.adopt(found["artifact"])

    def _key(self, parent: str, parts: Sequence[Any]) -> str:
        return "structure:" + digest_json(
            {
                "version": _VERSION,
                "model": self._identity,
                "parent": parent,
                "parts": list(parts),
                "libraries": self._versions,
            }
        )


def _itself(module: Any) -> Any:
    return module


def imported_subject(path: Path, description: Description, samples: Batch) -> Subject:
    """Returns the subject of an ONNX file that has no torch module, prepared for compression."""
    prepared = prepare(path, samples)
    graph = prepared.graph
    subject = Subject(
        graph=graph,
        description=description,
        layers=find_layers(graph),
        origin=graph,
        structure="",
        notes=prepared.notes,
    )
    return replace(subject, structure=subject.identity)
