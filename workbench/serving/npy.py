"""NumPy's .npy files from outside: a strict reader that allocates nothing the body does not hold.

Source: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html. Only plain numbers,
booleans and texts; never an object, never more memory than the body.
"""

from __future__ import annotations

import ast
import math
import re
import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.core.errors import InputError
from workbench.serving.shapes import checked_shape

_MAGIC = b"\x93NUMPY"
_LONGEST_HEADER = 10_000
_DTYPE = re.compile(r"[<>|=]?([biufU])(\d{1,6})")
_KEYS = {"descr", "fortran_order", "shape"}


def read_npy(body: bytes) -> NDArray[Any]:
    """Returns the array in a .npy file, without a copy of its bytes.

    Raises:
        InputError: It is no such file, cut off, or holds something else than plain values.
    """
    if body[:4] == b"PK\x03\x04":
        raise InputError("Got an .npz archive; one .npy array would be right.")
    header, begin = _header(body)
    dtype, shape = _dtype(header), _shape(header)
    count = math.prod(shape)
    wanted = count * dtype.itemsize
    if len(body) - begin != wanted:
        raise _no_npy(f"its header announces {wanted} bytes and {len(body) - begin} came")
    order = "F" if header["fortran_order"] else "C"
    return np.frombuffer(body, dtype, count, begin).reshape(shape, order=order)  # type: ignore[call-overload,no-any-return]


def _header(body: bytes) -> tuple[dict[str, Any], int]:
    if body[:6] != _MAGIC or len(body) < 12 or body[6] not in (1, 2, 3):
        raise _no_npy("it does not begin like one")
    form, begin = ("<H", 10) if body[6] == 1 else ("<I", 12)
    (length,) = struct.unpack_from(form, body, 8)
    text = body[begin : begin + length]
    if length > _LONGEST_HEADER or len(text) != length:
        raise _no_npy("its header is cut off or too long")
    try:
        header = ast.literal_eval(text.decode("utf-8").strip())
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError) as error:
        raise _no_npy("its header cannot be read") from error
    if not isinstance(header, dict) or set(header) != _KEYS:
        raise _no_npy("its header has other keys than descr, fortran_order and shape")
    return header, begin + length


def _dtype(header: dict[str, Any]) -> np.dtype[Any]:
    descr = header["descr"]
    if not isinstance(descr, str) or not _DTYPE.fullmatch(descr):
        raise _no_npy(f"it holds {str(descr)[:40]!r}, not plain numbers, booleans or texts")
    try:
        dtype = np.dtype(descr)
    except TypeError as error:
        raise _no_npy(f"NumPy knows no {descr!r}") from error
    if not dtype.itemsize:
        raise _no_npy("it holds texts of no length")
    return dtype


def _shape(header: dict[str, Any]) -> list[int]:
    shape = header["shape"]
    if not isinstance(shape, tuple) or not isinstance(header["fortran_order"], bool):
        raise _no_npy("its shape is none")
    return checked_shape(list(shape), "the array")


def _no_npy(why: str) -> InputError:
    return InputError(
        f"Got a body that is not a NumPy .npy file of plain numbers: {why}.",
        hint="numpy.save(file, array, allow_pickle=False) writes one.",
    )
