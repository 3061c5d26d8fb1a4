"""From a model's output tensor to answers for a person: labels with scores, or values."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.core.errors import InputError
from workbench.core.records import Description
from workbench.core.signature import Signature
from workbench.serving.errors import NOT_FINITE, ModelError
from workbench.tasks import TASKS

Answers = list[dict[str, Any]]
_RANK_OF_SCORES = 2
_SAID = ("label", "labels", "label_map", "value")


def predictions_of(
    outputs: Mapping[str, NDArray[Any]], signature: Signature, description: Description | None
) -> Answers:
    """Returns one answer a row from all outputs of a model, of which the first one counts.

    Raises:
        ModelError: As `to_predictions`.
    """
    spec = signature.outputs[0]
    first = outputs[spec.name]
    takes_rows = description is None and any(taken.is_batched for taken in signature.inputs)
    if not spec.is_batched and (first.ndim == 1 or takes_rows):
        first = first[np.newaxis]  # one answer to all that came
    return to_predictions(first, description)


def to_predictions(output: NDArray[Any], description: Description | None) -> Answers:
    """Returns one answer a row.

    Args:
        output: The model's first output, `[rows, …]`.
        description: What the model says of itself; None for a bare file, whose numbers are
            returned as scores by position, as a value if a row has one number or several axes.

    Raises:
        ModelError: The model gave numbers that are not finite, or no answers of its task.
    """
    if output.dtype.kind == "f" and not np.isfinite(output).all():
        raise ModelError(
            "The model answered with values that are not finite (NaN or infinity).",
            hint="Check the model on this input; half precision can overflow.",
            context=NOT_FINITE,
        )
    rows = output if output.ndim else output.reshape(1, 1)
    if description is None or rows.dtype.kind in "OUS":
        return _bare(rows)
    try:
        return TASKS.get(description.task).answers(rows, description)
    except InputError as error:
        hint = "Register it again with the task and labels it was trained on."
        raise ModelError(error.message, hint=hint) from error


def answered(answer: Mapping[str, Any]) -> Any:
    """Returns what an answer says, without its scores: a label, several, or a value."""
    return next((answer[name] for name in _SAID if name in answer), None)


def _bare(rows: NDArray[Any]) -> Answers:
    if rows.ndim > _RANK_OF_SCORES:
        return [{"value": row} for row in rows.tolist()]
    flat = rows.reshape(len(rows), math.prod(rows.shape[1:]))
    if rows.dtype.kind in "OUS":
        texts = [[str(text) for text in row] for row in flat]
        return [{"label": row[0]} if len(row) == 1 else {"value": row} for row in texts]
    if flat.shape[1] == 1:
        return [{"value": row[0]} for row in flat.tolist()]
    return [{"scores": {str(i): v for i, v in enumerate(row)}} for row in flat.tolist()]
