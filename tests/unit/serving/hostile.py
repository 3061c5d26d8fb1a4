"""Bodies whose cost is out of proportion to their size: each is refused, and holds up nobody.

`most` is how many things a body holds: a few thousand are right for the default tests, and what
fits into 64 MB for `make test-full` and the soak.
"""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

import orjson

from tests.unit.serving.fuzzing import TIMEOUT_S, Sent

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
    "unknown outputs": (unknown_outputs, 3.2),
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


def _field(number: int, data: bytes) -> bytes:
    """A length-delimited field of protobuf."""
    size, length = len(data), b""
    while size > 127:
        length += bytes([size & 127 | 128])
        size >>= 7
    return bytes([number << 3 | 2]) + length + bytes([size]) + data


def empty_messages(most: int) -> bytes:
    """Tensors and outputs of gRPC that hold nothing: two bytes each."""
    return _field(1, b"square") + (_field(5, b"") + _field(6, b"")) * (most // 2)


def empty_texts(most: int) -> bytes:
    """A tensor of gRPC that holds empty texts: two bytes each."""
    contents = _field(5, _field(8, b"") * most)
    tensor = _field(1, b"input") + _field(2, b"BYTES") + contents
    return _field(1, b"square") + _field(5, tensor)


def deep_parameters(most: int) -> bytes:
    """A tensor of gRPC with as many parameters."""
    one = _field(4, _field(1, b"a") + _field(2, b""))
    return _field(1, b"square") + _field(5, _field(1, b"input") + one * most)


RPC_BODIES: dict[str, tuple[Callable[[int], bytes], float]] = {
    "empty messages": (empty_messages, 30.0),
    "empty texts": (empty_texts, 30.0),
    "many parameters": (deep_parameters, 7.0),
}


class Pulse:
    """Asks whether an endpoint is alive for the time of the block, all the time.

    Attributes:
        longest_s: The longest wait for an answer.
        count: Of the answers.
    """

    def __init__(self, port: int) -> None:
        self.longest_s = 0.0
        self.count = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(port,), daemon=True)
        self._thread.start()

    def _run(self, port: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
        while not self._stop.wait(0.005):
            began = time.perf_counter()
            connection.request("GET", "/v2/health/live")
            connection.getresponse().read()
            self.longest_s = max(self.longest_s, time.perf_counter() - began)
            self.count += 1
        connection.close()

    def __enter__(self) -> Pulse:
        return self

    def __exit__(self, *raised: object) -> None:
        self._stop.set()
        self._thread.join(TIMEOUT_S)


def send_all(port: int, token: str, bodies: Mapping[str, Sent], wait_s: float) -> dict[str, int]:
    """Sends all bodies at once, each on a connection of its own; returns their statuses."""

    def send(sent: Sent) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=wait_s)
        headers = {"authorization": f"Bearer {token}", **sent.headers}
        connection.request("POST", sent.path, sent.body, headers)
        answer = connection.getresponse()
        answer.read()
        connection.close()
        return answer.status

    with ThreadPoolExecutor(len(bodies)) as pool:
        return dict(zip(bodies, pool.map(send, bodies.values()), strict=True))
