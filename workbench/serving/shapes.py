"""The one gate for shapes that a caller announces: what passes, NumPy can make."""

from __future__ import annotations

from typing import Any

from workbench.core.errors import InputError

MOST_DIMS = 32  # NumPy 1 takes 32, NumPy 2 takes 64
MOST_VALUES = 2**40  # far above any body, far below what overflows a count of bytes


def checked_shape(shape: Any, name: str) -> list[int]:
    """Returns a shape if it is a list of sizes that an array can have.

    Args:
        shape: As a caller gave it: anything.
        name: Of the tensor.

    Raises:
        InputError: It has too many dimensions, sizes that are no whole numbers or negative, or
            together more values than fit anywhere; a size of 0 does not make up for others.
    """
    if not isinstance(shape, list):
        raise _no_shape(name, type(shape).__name__)
    if len(shape) > MOST_DIMS:
        raise InputError(
            f"{name[:60]}: got a shape of {len(shape)} dimensions; at most {MOST_DIMS} are possible"
        )
    count = 1
    for dim in shape:
        if type(dim) is not int or dim < 0:
            raise _no_shape(name, _said(shape))
        count *= dim or 1
    if count > MOST_VALUES:
        raise _no_shape(name, _said(shape))
    return shape


def check_dims(dims: int, name: str) -> None:
    """Refuses lists nested so deep that NumPy makes an array of them but cannot walk it.

    Raises:
        InputError: They are.
    """
    if dims > MOST_DIMS:
        raise InputError(
            f"{name[:60]}: got lists nested {dims} deep; at most {MOST_DIMS} are possible"
        )


def _no_shape(name: str, got: str) -> InputError:
    return InputError(
        f"{name[:60]}: got the shape {got[:60]}; a list of sizes that fit the data would be right"
    )


def _said(shape: list[Any]) -> str:
    """Returns a short list in words, whatever it holds: lists of lists have no end."""
    parts = [str(dim)[:20] if isinstance(dim, int | float) else type(dim).__name__ for dim in shape]
    return f"[{', '.join(parts)}]"
