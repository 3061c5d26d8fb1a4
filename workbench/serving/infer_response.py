"""The answer to a V2 inference request: JSON, with binary tensors behind it where asked for.

What is the same in every answer of a model is written once.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from workbench.serving.batching import Outputs
from workbench.serving.binary import datatype_of, pack
from workbench.serving.encoding import json_array
from workbench.serving.infer_request import HEADER_LENGTH, Call
from workbench.serving.messages import Response
from workbench.serving.tensors import check_finite

OCTETS = b"application/octet-stream"


def write_outputs(model: str, version: str, call: Call, outputs: Outputs) -> Response:
    """Returns the response with the outputs that `call` asks for.

    Raises:
        ModelError: An output wanted as JSON is not finite.
    """
    parts: list[bytes] = []
    blobs: list[bytes] = []
    for name in call.wanted or outputs:
        value = outputs[name]
        if name in call.binary:
            blobs.append(pack(value))
            size = len(blobs[-1])
            opening = _tensor_opening(name, value.dtype, value.shape)
            parts.append(b'%s"parameters":{"binary_data_size":%d}}' % (opening, size))
        else:
            parts.append(json_tensor(name, value))
    id_ = b"" if call.id is None else b'"id":%s,' % orjson.dumps(call.id)
    text = b'%s%s"outputs":[%s]}' % (_opening(model, version), id_, b",".join(parts))
    if not blobs:
        return Response(200, text)
    length = (HEADER_LENGTH, b"%d" % len(text))
    return Response(200, b"".join([text, *blobs]), content_type=OCTETS, headers=(length,))


def json_tensor(name: str, value: NDArray[Any]) -> bytes:
    """Returns a tensor in JSON: flat, its floats as short as their dtype allows.

    Raises:
        ModelError: A value is not finite.
    """
    flat = value.ravel()
    if flat.dtype.kind in "OU":
        data = orjson.dumps(flat.tolist())
    else:
        data = json_array(flat)
        if b"null" in data:  # what orjson writes for NaN and infinity
            check_finite(name, value)
    return b'%s"data":%s}' % (_tensor_opening(name, value.dtype, value.shape), data)


@lru_cache(maxsize=256)
def _opening(model: str, version: str) -> bytes:
    return orjson.dumps({"model_name": model, "model_version": version})[:-1] + b","


@lru_cache(maxsize=1024)
def _tensor_opening(name: str, dtype: np.dtype[Any], shape: tuple[int, ...]) -> bytes:
    fields = {"name": name, "shape": list(shape), "datatype": datatype_of(dtype)}
    return orjson.dumps(fields)[:-1] + b","
