"""Writing answers: which are large, and numbers in pieces, so that others go on meanwhile."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, cast

import orjson
from numpy.typing import NDArray

from workbench.core.signature import Signature
from workbench.serving.messages import Response

Arrays = Mapping[str, NDArray[Any]]
Encode = Callable[[dict[str, NDArray[Any]]], Response]
_INLINE_VALUES = 50_000
_PIECE = 65_536


def inline_rows(signature: Signature) -> int:
    """Returns up to how many rows a model's outputs are never large; 0 if that is not told."""
    rows = [spec.shape[:1] for spec in signature.inputs[:1]]
    values = 0
    for spec in signature.outputs:
        sizes = spec.shape[1:]
        if [spec.shape[:1]] != rows or not all(map(_is_size, sizes)):
            return 0
        values += math.prod(cast(tuple[int, ...], sizes))
    return _INLINE_VALUES // max(1, values)


def _is_size(dim: int | str) -> bool:
    return isinstance(dim, int)


def is_large(outputs: Arrays) -> bool:
    """Returns whether writing outputs as text may hold up others."""
    count = 0
    for value in outputs.values():
        count += value.size
    return count > _INLINE_VALUES


def json_array(value: NDArray[Any]) -> bytes:
    """Returns numbers as JSON lists, nested as the array is.

    orjson keeps the interpreter's lock while it writes; between pieces others have their turn.

    Args:
        value: C-contiguous, of any shape; of numbers or booleans.
    """
    if value.size <= _PIECE or not value.ndim:
        return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY)
    rows = max(1, _PIECE * len(value) // value.size)
    if rows == 1 and value.ndim > 1:
        return b"[%s]" % b",".join(json_array(row) for row in value)
    pieces = (value[begin : begin + rows] for begin in range(0, len(value), rows))
    return b"[%s]" % b",".join(json_array(piece)[1:-1] for piece in pieces)
