"""Tensors as bytes: little-endian and row-major; texts each with a 4-byte length before them."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.core.errors import InputError
from workbench.core.signature import TensorSpec


def unpack(data: memoryview, spec: TensorSpec, shape: Sequence[int]) -> NDArray[Any]:
    """Returns the tensor in `data`, without a copy where its dtype has a fixed size.

    Raises:
        InputError: The bytes are not what dtype and shape need.
    """
    count = math.prod(shape)
    if spec.dtype == "str":
        return _unpack_texts(data, spec, count).reshape(shape)
    dtype = np.dtype(spec.dtype).newbyteorder("<")
    if len(data) != count * dtype.itemsize:
        raise InputError(
            f"{spec.name}: got {len(data)} bytes for {spec.dtype} {list(shape)}; "
            f"{count * dtype.itemsize} would be right"
        )
    return np.frombuffer(data, dtype).reshape(shape).astype(spec.dtype, copy=False)


def pack(value: NDArray[Any]) -> bytes:
    """Returns the bytes of a tensor."""
    if value.dtype.kind in "OUS":
        texts = [str(item).encode() for item in value.flat]
        return b"".join(struct.pack("<I", len(text)) + text for text in texts)
    return np.ascontiguousarray(value, dtype=value.dtype.newbyteorder("<")).tobytes()


def _unpack_texts(data: memoryview, spec: TensorSpec, count: int) -> NDArray[Any]:
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
