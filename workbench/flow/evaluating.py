"""Scores of what gets deployed: the ONNX file on ONNX Runtime."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workbench.core.errors import InputError
from workbench.core.records import Description
from workbench.evaluation.step import evaluate as evaluate_predictor
from workbench.flow.exports import Export
from workbench.runtime.session import open_session

if TYPE_CHECKING:
    from workbench.data.dataset import Dataset


def evaluate(export: Export, dataset: Dataset, split: str) -> dict[str, Any]:
    """Returns the metrics of a file that fits the dataset on a split, the primary one first."""
    session = open_session(export.path)
    return dict(evaluate_predictor(session.run, dataset, split).metrics)  # type: ignore[arg-type]


def check_fit(description: Description, dataset: Dataset) -> None:
    """Checks that a model takes the samples of a dataset and answers its labels.

    Raises:
        InputError: It does not, with everything that differs.
    """
    takes = description.signature.inputs[0].shape[1:]
    problems = []
    if len(takes) != len(dataset.sample_shape) or any(
        isinstance(want, int) and want != got
        for want, got in zip(takes, dataset.sample_shape, strict=False)
    ):
        problems.append(f"the model takes samples of shape {takes}, not {dataset.sample_shape}")
    if description.task != dataset.task:
        problems.append(f"the model does {description.task}, the data is for {dataset.task}")
    elif description.labels and dataset.labels and description.labels != dataset.labels:
        problems.append("the labels of model and data differ in number, name or order")
    if problems:
        raise InputError(
            f"The model and {dataset.ref} do not fit together.",
            problems=problems,
            hint="Use data of the same kind as the model was trained on.",
        )
