"""Scores of what gets deployed: the ONNX file on ONNX Runtime."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from workbench.core.errors import InputError
from workbench.core.records import Description
from workbench.core.signature import TensorSpec
from workbench.evaluation.step import evaluate as evaluate_predictor
from workbench.flow.exports import Export
from workbench.runtime.session import open_session

if TYPE_CHECKING:
    from workbench.data.dataset import Dataset


def evaluate(export: Export, dataset: Dataset, split: str) -> dict[str, Any]:
    """Returns the metrics of a file that fits the dataset on a split, the primary one first."""
    session = open_session(export.path)
    return dict(evaluate_predictor(session.run, dataset, split).metrics)  # type: ignore[arg-type]


def tensor_problems(takes: Sequence[TensorSpec], gives: Sequence[TensorSpec]) -> list[str]:
    """Returns every way in which the tensors of data are not those that a model takes, in words.

    Tensors go by their names; a single one goes to a single one, whatever they are called. A model
    may leave out some of the data's tensors.
    """
    given = {spec.name: spec for spec in gives}
    if len(takes) == len(gives) == 1:
        given = {takes[0].name: gives[0]}
    if any(spec.name not in given for spec in takes):
        return [f"the model takes the tensors {_names(takes)}, the data gives {_names(gives)}"]
    found = [_tensor_problem(spec, given[spec.name]) for spec in takes]
    return [problem for problem in found if problem]


def _tensor_problem(takes: TensorSpec, gives: TensorSpec) -> str:
    wanted, got = takes.shape[1:], gives.shape[1:]
    fits = len(wanted) == len(got) and all(
        isinstance(want, str) or want == size for want, size in zip(wanted, got, strict=False)
    )
    if not fits:
        return f"'{takes.name}': the model takes samples of shape {wanted}, not {got}"
    if takes.dtype != gives.dtype:
        return f"'{takes.name}': the model takes {takes.dtype}, the data gives {gives.dtype}"
    return ""


def _names(specs: Sequence[TensorSpec]) -> str:
    return ", ".join(spec.name for spec in specs)


def check_fit(description: Description, dataset: Dataset) -> None:
    """Checks that a model takes the samples of a dataset and answers its labels.

    Raises:
        InputError: It does not, with everything that differs.
    """
    problems = tensor_problems(description.signature.inputs, dataset.signature)
    if not description.task:
        problems.append("it is not known what the model predicts: import it with the data")
    elif description.task != dataset.task:
        problems.append(f"the model does {description.task}, the data is for {dataset.task}")
    elif description.labels and dataset.labels and description.labels != dataset.labels:
        problems.append("the labels of model and data differ in number, name or order")
    if problems:
        raise InputError(
            f"The model and {dataset.ref} do not fit together.",
            problems=problems,
            hint="Use data of the same kind as the model was trained on.",
        )
