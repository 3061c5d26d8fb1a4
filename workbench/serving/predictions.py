"""From a model's output tensor to answers for a person: labels with scores, or values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.core.records import Description
from workbench.core.signature import Signature
from workbench.serving.errors import ModelError

Answers = list[dict[str, Any]]


def predictions_of(
    outputs: Mapping[str, NDArray[Any]], signature: Signature, description: Description | None
) -> Answers:
    """Returns one answer a row from all outputs of a model, of which the first one counts.

    Raises:
        ModelError: As `to_predictions`.
    """
    spec = signature.outputs[0]
    first = outputs[spec.name]
    if first.ndim == 1 and not spec.is_batched:
        first = first[np.newaxis]
    return to_predictions(first, description)


def to_predictions(output: NDArray[Any], description: Description | None) -> Answers:
    """Returns one answer a row.

    Args:
        output: The model's first output, `[rows, …]`.
        description: What the model says of itself; None for a bare file, whose numbers are
            returned as scores by position (or as a value, if a row has one number).

    Raises:
        ModelError: The model gave numbers that are not finite, or not one a label.
    """
    if output.dtype.kind == "f" and not np.isfinite(output).all():
        raise ModelError(
            "The model answered with values that are not finite (NaN or infinity).",
            hint="Check the model on this input; half precision can overflow.",
        )
    rows = output.reshape(len(output), -1) if output.ndim else output.reshape(1, 1)
    if description is not None and description.task == "classification":
        return _labelled(rows, description)
    if rows.dtype.kind in "OUS":
        return [{"label": str(row[0])} for row in rows]
    if rows.shape[1] == 1:
        return [{"value": row[0]} for row in rows.tolist()]
    return [{"scores": {str(i): v for i, v in enumerate(row)}} for row in rows.tolist()]


def _labelled(rows: NDArray[Any], description: Description) -> Answers:
    scores = rows.astype(np.float64)
    labels = description.labels
    if scores.shape[1] == 1 and len(labels) == 2:
        positive = 1 / (1 + np.exp(-scores)) if description.output == "logits" else scores
        scores = np.concatenate([1 - positive, positive], axis=1)
    elif description.output == "logits":
        scores = _softmax(scores)
    if scores.shape[1] != len(labels):
        raise ModelError(
            f"The model gave {scores.shape[1]} scores for {len(labels)} labels.",
            hint="Register it again with the labels it was trained on.",
        )
    best = scores.argmax(axis=1)
    return [
        {"label": labels[winner], "scores": dict(zip(labels, row, strict=True))}
        for winner, row in zip(best.tolist(), scores.tolist(), strict=True)
    ]


def _softmax(logits: NDArray[Any]) -> NDArray[Any]:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))
