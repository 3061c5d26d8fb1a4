"""Models of the user's own: a torch module or an ONNX file becomes a run that verbs accept."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.core.batch import Batch, each, named
from workbench.core.config import saved_config
from workbench.core.errors import InputError, NotFoundError
from workbench.core.lazy import lazy
from workbench.core.records import Description
from workbench.core.resizing import padded
from workbench.core.signature import Signature, TensorSpec, free_sizes, is_plain
from workbench.data.modalities import MODALITIES
from workbench.evaluation.step import evaluate as evaluate_predictor
from workbench.evaluation.step import predict_split
from workbench.flow import exports
from workbench.flow.evaluating import check_fit, tensor_problems
from workbench.flow.resolve import ONNX, checked_module, looks_like_file
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
_PADDED, _ROUNDING = 8, 1e-3


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
    if not is_file:
        checked_module(model)
    if not is_file and dataset is None:
        raise InputError(
            "A module says neither the shape nor the labels of what it takes.",
            hint="Give the data it works on: wb.import_model(module, data).",
        )
    if is_file and not _is_there(Path(model).expanduser()):
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


def _is_there(path: Path) -> bool:
    return path.is_file() or path.is_dir()


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
    if is_plain(work.dataset.signature):
        outputs = training_step.output_shape(work.dataset)
        module_check.check_module(module, work.dataset.sample_shape, outputs)
    description = training_step.describe_module(module, work.dataset)
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
            _check_tensors(session, path, dataset)
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


def _check_tensors(session: Session, path: Path, dataset: Dataset) -> None:
    signature = session.signature
    problems = tensor_problems(signature.inputs, dataset.signature)
    if not signature.outputs[0].dtype.startswith("float"):
        problems.append(
            f"its first output is {signature.outputs[0].dtype}; scores or a value in floats are "
            "needed"
        )
    if problems:
        raise InputError(
            f"The file '{path.name}' cannot be imported as a model of {dataset.ref}.",
            problems=problems,
            hint="Load the data as the model takes it, or export the model anew. Without data it "
            "can be imported and served as it is: wb.import_model(path).",
        )


def _bare(session: Session) -> Description:
    """Returns what is known of a file without data: its tensors, and nothing of their meaning."""
    return Description(task="", output="value", labels=(), signature=session.signature)


def _described(session: Session, dataset: Dataset) -> Description:
    """Returns the description of a file that works on `dataset`, judged by what it answers."""
    count = min(_PROBES, len(dataset.val))
    outputs = _tried(session, dataset, np.arange(count))
    task = TASKS.get(dataset.task)
    task.check(outputs, dataset.labels)
    if any(isinstance(dim, str) for spec in dataset.signature for dim in spec.shape[1:]):
        _check_padding(session, dataset, outputs)
    kind = task.output_kind(outputs, dataset.labels)
    free = _free(session.signature.inputs, dataset.signature)
    return Description(
        task=dataset.task,
        output=kind,
        labels=tuple(dataset.labels),
        signature=_batched(session.signature, outputs, free),
        modality=dataset.modality,
        preprocessing=saved_config(dataset.modality, dataset.preprocessing),
    )


def _tried(session: Session, dataset: Dataset, rows: np.ndarray) -> np.ndarray:
    """Returns the answers to some validation samples.

    Raises:
        InputError: The model fails on them, although their types and shapes are right.
    """
    batch = dataset.val.batch(rows)[0]
    try:
        return session.run(batch)
    except Exception as error:
        reason = str(error).strip().split("\n")[0]
        fixed = {spec.shape[0] for spec in session.signature.inputs if not spec.is_batched}
        hint = "Are its codes within the model's table, and its sizes those that it can take?"
        if fixed:
            hint = f"It takes {min(fixed)} at a time; export it with a free first dimension."
        raise InputError(
            f"The model fails on samples of {dataset.ref}: {reason}", hint=hint
        ) from error


def _check_padding(session: Session, dataset: Dataset, together: np.ndarray) -> None:
    """Checks that samples padded in one batch are answered as each alone.

    Raises:
        InputError: They are not: the model is not told, or passes over, their true sizes.
    """
    for row in range(min(_PADDED, len(together))):
        batch = dataset.val.batch(np.array([row]))[0]
        _compare_padded(session.run(batch)[0], together[row], row)
        for tried in (batch, each(_below_zero, batch)):  # zeros are the largest there
            longer = session.run(_far_padded(tried, dataset))[0]
            _compare_padded(session.run(tried)[0], longer, row)


def _compare_padded(alone: np.ndarray, answer: np.ndarray, row: int) -> None:
    cut = answer[tuple(slice(size) for size in alone.shape)]
    if np.allclose(cut, alone, rtol=_ROUNDING, atol=_ROUNDING, equal_nan=True):
        return
    raise InputError(
        "The model answers a sample otherwise when it is padded beside longer ones: error "
        f"{float(np.abs(cut - alone).max()):.3g} at val sample {row}.",
        hint="Let it take the true sizes (inputs such as 'time_lengths') and pass over what lies "
        "behind, or load samples of one size.",
    )


def _below_zero(tensor: np.ndarray) -> np.ndarray:
    return -np.abs(tensor) - 1 if tensor.dtype.kind == "f" else tensor


def _far_padded(batch: Batch, dataset: Dataset) -> Batch:
    """Returns a batch as it would be beside samples more than twice as long."""
    specs = dataset.signature
    values = MODALITIES.get(dataset.modality).padding(dataset.preprocessing)
    if values is None:
        return batch
    sizes = free_sizes(named(batch, [spec.name for spec in specs]), specs)
    return padded(batch, specs, {dim: 2 * size + 3 for dim, size in sizes.items()}, values)


def _free(takes: Sequence[TensorSpec], gives: Sequence[TensorSpec]) -> set[str]:
    """Returns the model's names of dimensions that are free in the data, too."""
    given = {spec.name: spec for spec in gives}
    pairs = [(spec, given[spec.name] if len(gives) > 1 else gives[0]) for spec in takes]
    return {
        dim
        for own, other in pairs
        for dim, size in zip(own.shape[1:], other.shape[1:], strict=True)
        if isinstance(dim, str) and isinstance(size, str)
    }


def _batched(signature: Signature, outputs: np.ndarray, free: set[str]) -> Signature:
    """Returns the signature with the sizes of the first output as they came."""
    first, sizes = signature.outputs[0], outputs.shape[1:]
    names = first.shape[1:] if len(first.shape) == outputs.ndim else sizes
    rest = [n if n in free else int(size) for n, size in zip(names, sizes, strict=True)]
    named = TensorSpec(first.name, first.dtype, (first.shape[0] if first.shape else "batch", *rest))
    return Signature(signature.inputs, (named, *signature.outputs[1:]))
