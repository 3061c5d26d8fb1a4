"""Whether what an engine calls a piece of an answer is one."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.core.signature import Signature, TensorSpec
from workbench.serving.errors import ModelError


def checked(piece: Any, signature: Signature) -> dict[str, NDArray[Any]]:
    """Returns the outputs of a piece in the order of the signature.

    Raises:
        ModelError: It is something else than all outputs by name, of their dtypes and ranks.
    """
    names = [spec.name for spec in signature.outputs]
    if not isinstance(piece, dict) or piece.keys() != set(names):
        got = sorted(map(str, piece)) if isinstance(piece, dict) else type(piece).__name__
        raise _no_piece(f"got {got}; a dict of {names} would be right")
    for spec in signature.outputs:
        _check(piece[spec.name], spec)
    return {name: piece[name] for name in names}


def _check(value: Any, spec: TensorSpec) -> None:
    if not isinstance(value, np.ndarray):
        raise _no_piece(f"{spec.name}: got {type(value).__name__}; an array would be right")
    is_right = value.dtype.kind in "OU" if spec.dtype == "str" else value.dtype == spec.dtype
    if not is_right or value.ndim != len(spec.shape):
        raise _no_piece(
            f"{spec.name}: got {value.dtype} {list(value.shape)}; "
            f"{spec.dtype} {list(spec.shape)} would be right"
        )


def _no_piece(problem: str) -> ModelError:
    return ModelError(
        f"The engine gave something that is no piece of an answer: {problem}.",
        hint="Each piece that `stream` yields holds all outputs by name, as `predict` gives them.",
    )
