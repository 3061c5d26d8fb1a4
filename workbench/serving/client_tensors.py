"""Tensors as the client sends and reads them: V2, as bytes or as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.core.errors import InputError
from workbench.core.signature import TensorSpec
from workbench.serving.binary import DATATYPES, pack, unpack

HEADER_LENGTH = "inference-header-content-length"
_DTYPES = {datatype: dtype for dtype, datatype in DATATYPES.items()}


def v2_request(
    inputs: Mapping[str, NDArray[Any]], *, is_binary: bool = True
) -> tuple[dict[str, str], bytes]:
    """Returns headers and body of an infer request, its inputs as bytes.

    Args:
        inputs: Tensors by name.
        is_binary: Whether the outputs shall come as bytes, too.

    Raises:
        InputError: An array's type cannot be sent.
    """
    tensors, blobs = [], []
    for name, value in inputs.items():
        array = np.asarray(value, order="C")
        blobs.append(pack(array))
        tensors.append(
            {
                "name": name,
                "shape": list(array.shape),
                "datatype": _datatype(name, array),
                "parameters": {"binary_data_size": len(blobs[-1])},
            }
        )
    head = json.dumps({"inputs": tensors, "parameters": {"binary_data_output": is_binary}}).encode()
    headers = {"content-type": "application/octet-stream", HEADER_LENGTH: str(len(head))}
    return headers, b"".join([head, *blobs])


def v2_outputs(body: bytes, head_length: str | None = None) -> dict[str, NDArray[Any]]:
    """Returns the outputs in an infer response.

    Args:
        body: JSON, perhaps with tensors behind it.
        head_length: Length of the JSON; None if it is all.
    """
    end = len(body) if head_length is None else int(head_length)
    found: dict[str, NDArray[Any]] = {}
    for item in json.loads(body[:end])["outputs"]:
        name, shape, dtype = item["name"], item["shape"], _DTYPES[item["datatype"]]
        if "data" in item:
            array = np.asarray(item["data"], dtype="object" if dtype == "str" else dtype)
            found[name] = array.reshape(shape)
        else:
            size = item["parameters"]["binary_data_size"]
            spec = TensorSpec(name, dtype, tuple(shape))
            found[name] = unpack(body[end : end + size], spec, shape)
            end += size
    return found


def _datatype(name: str, array: NDArray[Any]) -> str:
    is_text = array.dtype.kind in "OU" and all(isinstance(item, str) for item in array.flat)
    datatype = "BYTES" if is_text else DATATYPES.get(array.dtype.name)
    if datatype is None:
        raise InputError(
            f"{name}: got an array of {array.dtype}; numbers, booleans or texts can be sent."
        )
    return datatype
