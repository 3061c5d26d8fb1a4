"""Tensors as V2 names their types, and as bytes: little-endian, row-major, texts with lengths."""

from __future__ import annotations

import math
import struct
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.core.errors import InputError
from workbench.core.signature import TensorSpec

DATATYPES = {
    "bool": "BOOL",
    **{f"uint{n}": f"UINT{n}" for n in (8, 16, 32, 64)},
    **{f"int{n}": f"INT{n}" for n in (8, 16, 32, 64)},
    **{f"float{n}": f"FP{n}" for n in (16, 32, 64)},
    "str": "BYTES",
}
_BY_DTYPE = {np.dtype(name): datatype for name, datatype in DATATYPES.items() if name != "str"}
_WIRE = {name: np.dtype(name).newbyteorder("<") for name in DATATYPES if name != "str"}

_IS_LITTLE = sys.byteorder == "little"


def datatype_of(dtype: np.dtype[Any]) -> str:
    """Returns V2's name for an array's dtype; texts are BYTES."""
    return _BY_DTYPE.get(dtype, "BYTES")


def unpack(data: bytes | memoryview, spec: TensorSpec, shape: Sequence[int]) -> NDArray[Any]:
    """Returns the tensor in `data`, without a copy if its numbers lie aligned.

    Raises:
        InputError: The bytes are not what dtype and shape need.
    """
    count = math.prod(shape)
    if spec.dtype == "str":
        return _unpack_texts(data, spec, count).reshape(shape)
    dtype = _WIRE[spec.dtype]
    if len(data) != count * dtype.itemsize:
        raise InputError(
            f"{spec.name}: got {len(data)} bytes for {spec.dtype} {list(shape)}; "
            f"{count * dtype.itemsize} would be right"
        )
    array: NDArray[Any] = np.ndarray(shape, dtype, data)
    if not dtype.isnative:
        return array.astype(spec.dtype)
    return array if array.flags.aligned else array.copy()


def pack(value: NDArray[Any]) -> bytes:
    """Returns the bytes of a tensor."""
    if value.dtype.kind in "OUS":
        texts = [str(item).encode() for item in value.flat]
        return b"".join(struct.pack("<I", len(text)) + text for text in texts)
    if not _IS_LITTLE or not value.dtype.isnative:
        value = value.astype(value.dtype.newbyteorder("<"))
    return value.tobytes()


def _unpack_texts(data: bytes | memoryview, spec: TensorSpec, count: int) -> NDArray[Any]:
    texts: list[str] = []
    begin = 0
    while begin + 4 <= len(data) and len(texts) < count:
        (length,) = struct.unpack_from("<I", data, begin)
        begin += 4
        if begin + length > len(data):
            break
        try:
            texts.append(bytes(data[begin : begin + length]).decode())
        except UnicodeDecodeError as error:
            raise InputError(f"{spec.name}: text {len(texts)} is not UTF-8") from error
        begin += length
    if len(texts) != count or begin != len(data):
        raise InputError(f"{spec.name}: got {len(texts)} whole texts; {count} would be right")
    return np.asarray(texts, dtype=object)
