"""From a record, its ref or a file to the model behind it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.core.errors import InputError, NotFoundError, StateError
from workbench.core.lazy import lazy
from workbench.core.records import Description
from workbench.core.refs import is_ref, parse_ref
from workbench.flow.run import Run
from workbench.flow.version import ModelVersion
from workbench.store import MODEL_FILE, Artifact, Store, Version

if TYPE_CHECKING:
    from workbench.data import dataset as datasets
    from workbench.data.dataset import Dataset
    from workbench.flow import own_module
else:
    datasets = lazy("workbench.data.dataset")
    own_module = lazy("workbench.flow.own_module")

ONNX = "onnx"
NETWORK = "network"


@dataclass(frozen=True)
class Model:
    """A model, wherever it came from.

    Attributes:
        ref: What the user calls it.
        artifact: Its network, or its ONNX file if it belongs to no family.
        module: The live module of the user's own, if this process has it.
        loss: The user's own loss for it, if there is one.
        data: Digest of the dataset's artifact it was made from, if known.
        parent: Ref of what it was made from.
        recipe: How it was compressed, if it was.
        metrics: What is known of it.
    """

    ref: str
    artifact: Artifact
    module: Any = None
    loss: Any = None
    data: str | None = None
    parent: str | None = None
    recipe: str | None = None
    metrics: dict[str, Any] | None = None

    @property
    def description(self) -> Description:
        """What the model says of itself."""
        return Description.from_json(self.artifact.meta["description"])


def resolve_model(store: Store, thing: Any) -> Model:
    """Returns the model behind a run, variant, version, study, ref or ONNX file.

    Raises:
        InputError: It is none of these.
        StateError: It is a run that has made no model.
    """
    if isinstance(thing, Model):
        return thing
    if isinstance(thing, Run):
        return _of_run(store, thing)
    if isinstance(thing, Version | ModelVersion):
        return _of_version(store, store.models.resolve(thing.ref))
    if hasattr(thing, "as_model"):  # a study or a variant, which live above this file
        return _checked(thing.as_model())
    if isinstance(thing, str) and not _names_file(thing):
        return _of_ref(store, thing)
    got = f"'{thing}'" if isinstance(thing, str | Path) else f"a {type(thing).__name__}"
    raise InputError(
        f"Got {got}, which is not a model of the workbench.",
        hint="Give a run, a variant, a version or a ref. A module or an ONNX file of your own "
        "comes in by wb.import_model(model, data).",
    )


def resolve_data(store: Store, data: Any, model: Model | None = None) -> Dataset:
    """Returns the dataset given, by record or ref; None means the one the model was made from."""
    if data is None:
        if model is None or model.data is None:
            raise InputError("It is not known which data belongs here.", hint="Give data=….")
        return datasets.open_dataset(store, model.data)
    if isinstance(data, str) and data.startswith("dataset:"):
        return datasets.open_dataset(store, data)
    if isinstance(data, datasets.Dataset):
        return data
    raise InputError(
        f"Got a {type(data).__name__} instead of a dataset.",
        hint="Load it first: data = wb.load(…).",
    )


def _of_ref(store: Store, text: str) -> Model:
    ref = parse_ref(text)
    if ref.part not in (None, "model"):
        raise InputError(f"'{text}' names no model; a run's model is run:{ref.name}/model.")
    if ref.kind == "run":
        return _of_run(store, Run(store, ref.name))
    if ref.kind == "model":
        return _of_version(store, store.models.resolve(text))
    if ref.kind in ("variant", "study"):
        studies = lazy("workbench.flow.studies")
        return _checked(studies.find(store, ref).as_model())
    raise InputError(f"'{text}' is no model.", hint="Give a run:, variant:, study: or model: ref.")


def _of_run(store: Store, run: Run) -> Model:
    if not run.record.is_finished:
        run.wait()
    record = store.runs.proven(run.id)
    digest = record.outputs.get("model")
    if digest is None:
        raise StateError(
            f"{run.ref} has no model: it is {record.status}.",
            hint="Look at run.error, or resume it with run.resume().",
        )
    module = None
    if run.payload is not None:
        module = own_module.trained(store, run.payload, record.outputs.get("weights"))
    return Model(
        ref=run.ref,
        artifact=store.artifacts.get(digest),
        module=module,
        loss=run.loss,
        data=record.inputs.get("data"),
        parent=run.ref,
        metrics=dict(record.metrics),
    )


def _of_version(store: Store, version: Version) -> Model:
    version = store.models.verify(version, afresh=False)
    blobs = version.files
    if MODEL_FILE not in blobs:
        raise NotFoundError(f"{version.ref} has no file '{MODEL_FILE}'.")
    meta = {"description": version.manifest["description"]}
    return Model(
        ref=version.ref,
        artifact=store.artifacts.save(ONNX, blobs, meta),
        data=(version.manifest.get("data") or {}).get("artifact"),
        parent=version.ref,
        recipe=version.manifest.get("recipe"),
        metrics=dict(version.manifest.get("metrics") or {}),
    )


def _checked(model: Any) -> Model:
    if not isinstance(model, Model):
        raise InputError(f"Got a {type(model).__name__} instead of a model.")
    return model


def _names_file(text: str) -> bool:
    return not is_ref(text) and (text.endswith(".onnx") or Path(text).exists())


def looks_like_file(thing: Any) -> bool:
    """Returns whether `thing` is a path, given as text or as `Path`."""
    return isinstance(thing, Path) or (isinstance(thing, str) and not is_ref(thing))


def is_own(thing: Any) -> bool:
    """Returns whether `thing` is a model of the user's own: a module, or the path of a file."""
    return looks_like_file(thing) or hasattr(thing, "state_dict")
