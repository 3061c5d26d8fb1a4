"""Bodies whose cost is out of proportion to their size: each is refused, and holds up nobody.

`most` is how many things a body holds: a few thousand are right for the default tests, and what
fits into 64 MB for `make test-full` and the soak.
"""

from __future__ import annotations

import json
from collections.abc import Callable

import orjson

from tests.unit.serving.fuzzing import Sent

JSON = {"content-type": "application/json"}
V2, ROWS = "/v2/models/square/infer", "/v1/models/square:predict"
TORCH, PREDICT = "/predictions/square", "/predict/square"


def tiny_tensors(most: int) -> Sent:
    tensor = b'{"name":"input","shape":[1],"datatype":"FP32","data":[1]}'
    return Sent(V2, b'{"inputs":[%s]}' % b",".join([tensor] * most), JSON)


def unknown_outputs(most: int) -> Sent:
    names = b",".join(b'{"name":"o%d"}' % place for place in range(most))
    return Sent(V2, b'{"inputs":[],"outputs":[%s]}' % names, JSON)


def empty_rows(most: int) -> Sent:
    return Sent(ROWS, b'{"instances":[%s]}' % b",".join([b"{}"] * most), JSON)


def empty_samples(most: int) -> Sent:
    return Sent(TORCH, b'{"data":[%s]}' % b",".join([b"[]"] * most), JSON)


def unknown_inputs(most: int) -> Sent:
    names = b",".join(b'"o%d":1' % place for place in range(most))
    return Sent(PREDICT, b'{"inputs":{"input":[1,2,3],%s}}' % names, JSON)


def deep_lists(most: int) -> Sent:
    return Sent(PREDICT, b'{"inputs":%s%s}' % (b"[" * most, b"]" * most), JSON)


def giant_text(most: int) -> Sent:
    return Sent(TORCH, b'{"data":"%s"}' % (b"a" * 8 * most), JSON)


def giant_number(most: int) -> Sent:
    return Sent(PREDICT, b'{"inputs":%s}' % (b"7" * 8 * most), JSON)


def giant_header(most: int) -> Sent:
    tensor = b'{"name":"input","parameters":{"binary_data_size":0}}'
    head = b'{"inputs":[%s]}' % b",".join([tensor] * most)
    headers = {"inference-header-content-length": str(len(head))}
    return Sent(V2, head, {"content-type": "application/octet-stream", **headers})


def many_parts(most: int) -> Sent:
    part = b'--b\r\nContent-Disposition: form-data; name="f"\r\n\r\n1\r\n'
    return Sent(
        PREDICT, part * most + b"--b--\r\n", {"content-type": "multipart/form-data;boundary=b"}
    )


def saturating_numbers(most: int) -> Sent:
    tensor = b'{"name":"input","shape":[%d],"datatype":"FP32","data":[%s]}'
    return Sent(V2, b'{"inputs":[%s]}' % (tensor % (most, b",".join([b"1"] * most))), JSON)


# What a body of 64 MB can hold of each, as the multiple of a million.
BODIES: dict[str, tuple[Callable[[int], Sent], float]] = {
    "tiny tensors": (tiny_tensors, 1.0),
    "unknown outputs": (unknown_outputs, 3.5),
    "empty rows": (empty_rows, 7.0),
    "empty samples": (empty_samples, 7.0),
    "unknown inputs": (unknown_inputs, 4.0),
    "deep lists": (deep_lists, 8.0),
    "giant text": (giant_text, 7.0),
    "giant number": (giant_number, 7.0),
    "giant header": (giant_header, 1.0),
    "many parts": (many_parts, 1.0),
    "saturating numbers": (saturating_numbers, 16.8),
}

SHAPES = {
    "65 dimensions": [1] * 65,
    "a thousand dimensions": [2**62] * 1000,
    "an overflow beside nothing": [0, 2**62, 2**62],
    "an overflow": [2**62, 2**62],
    "negative": [-1, 3],
    "fractions": [1.5, 3],
    "truths": [True, 3],
    "beyond 64 bits": [2**70, 3],
    "lists": [[3]],
    "deep lists": orjson.loads(b"[" * 900 + b"]" * 900),
    "no list": 3,
    "texts": ["3"],
}


def shaped(shape: object) -> bytes:
    """A V2 body whose only tensor has a shape."""
    tensor = {"name": "input", "shape": shape, "datatype": "FP32", "data": [1, 2, 3]}
    return json.dumps({"inputs": [tensor]}).encode()
