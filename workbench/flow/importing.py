"""Models of the user's own: a torch module or an ONNX file becomes a run that verbs accept."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.core.errors import InputError, NotFoundError
from workbench.core.lazy import lazy
from workbench.core.records import Description
from workbench.core.signature import Signature, TensorSpec
from workbench.evaluation.step import evaluate as evaluate_predictor
from workbench.evaluation.step import predict_split
from workbench.flow import exports
from workbench.flow.evaluating import check_fit
from workbench.flow.resolve import ONNX, looks_like_file
from workbench.flow.run import Run
from workbench.runtime.session import Session, open_session
from workbench.store import Artifact, Context, RunRecord, Store
from workbench.tasks import METRICS, TASKS, primary_metric

if TYPE_CHECKING:
    from workbench.data.dataset import Dataset
    from workbench.exporting import model_files
    from workbench.flow import own_module
    from workbench.training import module_check
    from workbench.training import step as training_step
else:
    model_files = lazy("workbench.exporting.model_files")
    module_check = lazy("workbench.training.module_check")
    own_module = lazy("workbench.flow.own_module")
    training_step = lazy("workbench.training.step")

_PROBES = 32


def import_model(
    store: Store, model: Any, dataset: Dataset | None, *, loss: Any, metric: Any
) -> Run:
    """Does what `Workspace.import_model` says; the work is quick, so it is done in this process."""
    is_file = looks_like_file(model)
    if loss is not None and not callable(loss):
        raise InputError(
            f"The loss is a {type(loss).__name__}; a callable of (outputs, targets) is needed.",
            hint="As in: loss=torch.nn.functional.cross_entropy",
        )
    if not is_file and not hasattr(model, "state_dict"):
        raise InputError(
            f"Got a {type(model).__name__}, which cannot be imported.",
            hint="Give a torch.nn.Module or the path of an ONNX file.",
        )
    if not is_file and dataset is None:
        raise InputError(
            "A module says neither the shape nor the labels of what it takes.",
            hint="Give the data it works on: wb.import_model(module, data).",
        )
    if is_file and not Path(model).expanduser().exists():
        raise NotFoundError(f"There is no file '{model}'.", hint="Give the path of an ONNX file.")
    if isinstance(metric, str):
        METRICS.get(metric)
    config = {
        "source": Path(model).name if is_file else type(model).__name__,
        "metric": metric if isinstance(metric, str) else getattr(metric, "__name__", None),
        "needs_module": not is_file,
    }
    inputs = {} if dataset is None else {"data": dataset.artifact.digest, "data_ref": dataset.ref}
    record = store.runs.create("import", config, inputs)
    work = _Import(dataset=dataset, metric=metric, model=model)
    run = Run(store, record.id, work).run_inline()
    return Run(store, run.id, None if is_file else model, loss)


class _Import:
    """What an import works on; never stored."""

    def __init__(self, *, dataset: Dataset | None, metric: Any, model: Any) -> None:
        self.dataset = dataset
        self.metric = metric
        self.model = model


def run_import(store: Store, context: Context, record: RunRecord, work: _Import) -> None:
    """The step: export and parity for a module, checks for a file, then the score."""
    if looks_like_file(work.model):
        artifact = _import_file(store, context, Path(work.model), work.dataset)
    else:
        artifact = _import_module(store, context, work)
    if work.dataset is not None:
        _score(context, exports.as_export(store, artifact).path, work)


def _import_module(store: Store, context: Context, work: _Import) -> Artifact:
    if work.dataset is None:
        raise InputError("A module cannot be imported without data.")
    context.progress(0, 2, "exporting")
    module = own_module.trained(store, work.model, None)
    outputs = training_step.output_shape(work.dataset)
    module_check.check_module(module, work.dataset.sample_shape, outputs)
    description = training_step.describe(work.dataset, None)
    artifact = own_module.save_own(store, context, module, description, work.dataset)
    context.progress(1, 2, "scoring")
    session = open_session(exports.as_export(store, artifact).path)
    described = _described(session, work.dataset)
    if described == description:
        return artifact
    return _redescribed(store, context, artifact, described)


def _import_file(store: Store, context: Context, path: Path, dataset: Dataset | None) -> Artifact:
    context.progress(0, 2, "checking")
    with tempfile.TemporaryDirectory(dir=store.home.scratch) as folder:
        files = model_files.find_model_files(path.expanduser(), Path(folder))
        session = open_session(files.graph)
        if dataset is None:
            description = _bare(session)
        else:
            _check_tensors(session, path)
            description = _described(session, dataset)
            check_fit(description, dataset)
        artifact = store.artifacts.save(
            ONNX,
            files.files,
            {"description": description.to_json(), "parity": None, "source": path.name},
        )
    context.output("model", artifact)
    if files.left_out:
        context.event("left_out", files=list(files.left_out))
    context.progress(1, 2, "scoring")
    return artifact


def _redescribed(
    store: Store, context: Context, artifact: Artifact, description: Description
) -> Artifact:
    meta = {**artifact.meta, "description": description.to_json()}
    again = store.artifacts.save(ONNX, dict(artifact.files), meta)
    context.output("model", again)
    return again


def _score(context: Context, path: Path, work: _Import) -> None:
    dataset = work.dataset
    if dataset is None:
        return
    session = open_session(path)
    keys = [work.metric] if isinstance(work.metric, str) else None
    evaluation = evaluate_predictor(session.run, dataset, "val", keys)
    metrics = {f"val_{name}": value for name, value in evaluation.metrics.items()}
    if isinstance(work.metric, Callable):  # type: ignore[arg-type]
        name = getattr(work.metric, "__name__", "metric")
        metrics[f"val_{name}"] = float(work.metric(*predict_split(session.run, dataset.val)))
    context.set_metrics(**metrics)
    context.progress(2, 2, "done")
    shown = primary_metric(dataset.task, dataset.labels) if keys is None else keys[0]
    context.event("score", metric=shown, value=metrics[f"val_{shown}"], samples=evaluation.samples)


def _check_tensors(session: Session, path: Path) -> None:
    signature = session.signature
    problems = []
    if len(signature.inputs) != 1:
        names = ", ".join(t.name for t in signature.inputs)
        problems.append(f"it takes {len(signature.inputs)} tensors ({names}); one is supported")
    elif signature.inputs[0].dtype != "float32":
        problems.append(f"its input is {signature.inputs[0].dtype}; float32 is supported")
    if not signature.outputs[0].dtype.startswith("float"):
        problems.append(
            f"its first output is {signature.outputs[0].dtype}; scores or a value in floats are "
            "needed"
        )
    if problems:
        raise InputError(
            f"The file '{path.name}' cannot be imported as a model.",
            problems=problems,
            hint="Without data it can be imported and served as it is: wb.import_model(path).",
        )


def _bare(session: Session) -> Description:
    return Description(task="regression", output="value", labels=(), signature=session.signature)


def _described(session: Session, dataset: Dataset) -> Description:
    """Returns the description of a file that works on `dataset`, judged by what it answers."""
    count = min(_PROBES, len(dataset.val))
    outputs = _try_run(session, dataset.val.batch(np.arange(count))[0], dataset)
    task = TASKS.get(dataset.task)
    task.check(outputs, dataset.labels)
    kind = task.output_kind(outputs, dataset.labels)
    base = training_step.describe(dataset, None)
    return replace(base, output=kind, signature=_batched(session.signature, outputs))


def _try_run(session: Session, inputs: np.ndarray, dataset: Dataset) -> np.ndarray:
    check_shape = session.signature.inputs[0].shape[1:]
    fixed = [(a, b) for a, b in zip(check_shape, dataset.sample_shape, strict=False)]
    if len(check_shape) != len(dataset.sample_shape) or any(
        isinstance(a, int) and a != b for a, b in fixed
    ):
        raise InputError(
            f"The model takes samples of shape {check_shape}, "
            f"{dataset.ref} has {dataset.sample_shape}.",
            hint="Load the data in the shape the model takes, or export the model with a reshape.",
        )
    return session.run(inputs)


def _batched(signature: Signature, outputs: np.ndarray) -> Signature:
    first = signature.outputs[0]
    shape = (first.shape[0] if first.shape else "batch", *(int(n) for n in outputs.shape[1:]))
    named = TensorSpec(first.name, first.dtype, shape)
    return Signature(signature.inputs, (named, *signature.outputs[1:]))
