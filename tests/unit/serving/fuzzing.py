"""Whatever bytes come, the endpoint answers them in words: properties for the tests and the soak.

Each property is a strategy of requests and the check that every answer must pass. Requests go over
a real socket, so that parsing, decoding, predicting and encoding are all met.
"""

from __future__ import annotations

import http.client
import io
import json
import random
import socket
from dataclasses import dataclass, field

import numpy as np
import orjson
from hypothesis import strategies as st

TIMEOUT_S = 20.0
MODELS = ("digits", "square", "pair", "echo")
SCALARS = st.none() | st.booleans() | st.integers(-5, 2**70) | st.floats() | st.text(max_size=5)
KEYS = st.sampled_from(
    ["inputs", "name", "shape", "datatype", "data", "parameters", "timeout", "b64", "x", "count"]
)
VALUES = st.recursive(
    SCALARS | st.sampled_from(["input", "FP32", "INT64", "BYTES", "count", "x", "text"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)
SIZES = st.integers(-1, 70) | VALUES
EXTREME = st.sampled_from([0, 1, -1, 2**31, 2**32, 2**53, 2**62, 2**63, 2**64, 10**40, True, 1.0])
SHAPES = (
    st.sampled_from([[1, 1, 8, 8], [3], [2, 2], [2]])
    | st.lists(st.integers(-1, 9), max_size=5)
    | st.lists(EXTREME, max_size=5)
    | st.builds(lambda dim, count: [dim] * count, EXTREME, st.sampled_from([31, 33, 65, 300]))
    | VALUES
)
DEPTHS = st.sampled_from([31, 33, 63, 65, 200, 1023, 1025, 3000])
MANY = st.sampled_from([20, 21, 300, 3000])
TENSORS = st.fixed_dictionaries(
    {
        "name": st.sampled_from(["input", "x", "count", "text", "y"]),
        "shape": SHAPES,
        "datatype": st.sampled_from(["FP32", "INT64", "BYTES"]) | VALUES,
    },
    optional={
        "data": st.lists(st.integers(0, 9), min_size=64, max_size=64) | VALUES,
        "parameters": st.fixed_dictionaries({"binary_data_size": SIZES}) | VALUES,
    },
)
OUTPUTS = st.lists(
    st.fixed_dictionaries(
        {"name": st.sampled_from(["output", "sum", "echo_bytes", "z"])},
        optional={"parameters": st.fixed_dictionaries({"binary_data": st.booleans() | VALUES})},
    ),
    max_size=2,
)
V2 = st.fixed_dictionaries(
    {"inputs": st.lists(TENSORS, max_size=3) | VALUES},
    optional={"outputs": OUTPUTS | VALUES, "id": VALUES, "parameters": VALUES},
)
ROWS = st.dictionaries(
    st.sampled_from(["input", "x", "count", "text", "b64", "y"]), VALUES, max_size=3
)
TIMES = st.sampled_from(["inputs", "outputs"])
CROWDS = st.builds(  # the same tensor or output again and again, or each of another name
    lambda body, side, item, many, differ: {
        **body,
        side: [{**item, "name": f"o{place}"} if differ else item for place in range(many)],
    },
    V2,
    TIMES,
    TENSORS,
    MANY,
    st.booleans(),
)
NUMBERS = st.lists(st.lists(st.floats(-9, 9), min_size=2, max_size=3), max_size=3)
CALLS = st.dictionaries(
    st.sampled_from(["instances", "inputs", "signature_name"]),
    st.lists(ROWS | VALUES, max_size=4) | ROWS | NUMBERS,
    max_size=2,
)


def deep(opening: bytes, depth: int, inner: bytes) -> bytes:
    """Nested JSON, deeper than Python's own writer goes."""
    return opening * depth + inner + (b"]" if opening == b"[" else b"}") * depth


DEEP = st.builds(
    lambda text, *made: text % deep(*made),
    st.sampled_from(
        [
            b"%s",
            b'{"inputs":%s}',
            b'{"instances":%s}',
            b'{"data":%s}',
            b'{"inputs":[{"name":"input","shape":%s,"datatype":"FP32","data":[1,2,3]}]}',
            b'{"inputs":[{"name":"input","shape":[3],"datatype":"FP32","data":%s}]}',
            b'{"inputs":[{"name":"text","shape":[1],"datatype":"BYTES","data":%s}]}',
            b'{"inputs":[{"name":"input","shape":[3],"datatype":%s,"data":[1,2,3]}]}',
            b'{"inputs":[],"parameters":{"timeout":%s},"id":1}',
        ]
    ),
    st.sampled_from([b"[", b'{"a":']),
    DEPTHS,
    st.sampled_from([b"1", b'"a"', b"null", b"1,2", b""]),
)
LONG = st.builds(  # long lists and texts: small copies of those that saturate a count
    lambda text, piece, many: text % b",".join([piece] * many),
    st.sampled_from(
        [
            b'{"inputs":[%s]}',
            b'{"instances":[%s]}',
            b'{"data":[%s]}',
            b'{"inputs":[{"name":"input","shape":[1000],"datatype":"FP32","data":[%s]}]}',
        ]
    ),
    st.sampled_from([b"1", b"{}", b"[]", b'""', b"1.5e300", b"null", b"[1,2]"]),
    st.sampled_from([1000, 30_000]),
)
POSTSCRIPT = (
    b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n%%EOF\n",
    b"\x89PNG\r\n\x1a\n%!PS-Adobe-3.0\nshowpage\n",
    b"%PDF-1.4\n%%EOF\n",
    b"\xc5\xd0\xd3\xc6" + bytes(28) + b"%!PS-Adobe-3.0\nshowpage\n",
)


@dataclass(frozen=True)
class Sent:
    """One request."""

    path: str
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


def dumps(value) -> bytes:
    try:
        return orjson.dumps(value)
    except TypeError:  # numbers beyond 64 bits: Python's own writer knows them
        return json.dumps(value).encode()


def npy(array) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def cut(data: bytes):
    """Gives whole and damaged copies of something right."""
    return st.one_of(
        st.just(data),
        st.integers(0, len(data)).map(lambda end: data[:end]),
        st.tuples(st.integers(0, len(data) - 1), st.integers(0, 255)).map(
            lambda pair: data[: pair[0]] + bytes([pair[1]]) + data[pair[0] + 1 :]
        ),
    )


def _json(path, bodies):
    return st.builds(
        lambda model, body: Sent(path.format(model), body, {"content-type": "application/json"}),
        st.sampled_from(MODELS),
        bodies | st.binary(max_size=60),
    )


def _binary(model, head, blob, wrong):
    text = dumps(head)
    length = str(len(text)) if wrong is None else wrong
    headers = {
        "content-type": "application/octet-stream",
        "inference-header-content-length": length,
    }
    return Sent(f"/v2/models/{model}/infer", text + blob, headers)


def _form(model, pieces, boundary):
    headers = {"content-type": f"multipart/form-data; boundary={boundary}"}
    return Sent(f"/predict/{model}", b"".join(pieces), headers)


def _npy_header(kind, shape):
    text = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {tuple(shape)}, }}".encode()
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + bytes(12)


FORM_PIECES = st.sampled_from(
    [
        b"--b",
        b"\r\n",
        b"--",
        b"--b--\r\n",
        b"\r\n\r\n",
        b'Content-Disposition: form-data; name="inputs"\r\n\r\n[[1, 2, 3]]\r\n',
        b'Content-Disposition: form-data; name="f"; filename="x.png"\r\n\r\n',
    ]
) | st.binary(max_size=6)
FILES = st.one_of(
    cut(npy(np.ones((1, 1, 8, 8), np.float32))),
    cut(npy(np.ones(3, np.float32))),
    cut(npy(np.array(["a", "b"]))),
    st.sampled_from(POSTSCRIPT).flatmap(cut),
    st.builds(
        lambda kind, shape: _npy_header(kind, shape),
        st.sampled_from(["<f4", "<U0", "<U3", "|b1", "<i8", "|O"]),
        st.lists(EXTREME, max_size=40),
    ),
    st.binary(max_size=60),
)
PROPERTIES = {
    "v2_json": _json("/v2/models/{}/infer", (V2 | CROWDS).map(dumps) | DEEP | LONG),
    "v2_binary": st.builds(
        _binary,
        st.sampled_from(MODELS),
        V2,
        st.binary(max_size=300),
        st.none() | st.sampled_from(["-1", "0", "99999999", "x", "", "1e3", "٣"[:0]]),
    ),
    "tensorflow_rows": _json("/v1/models/{}:predict", (CALLS | VALUES).map(dumps) | DEEP | LONG),
    "predict_json": _json("/predict/{}", (CALLS | VALUES).map(dumps) | DEEP | LONG),
    "torchserve": _json("/predictions/{}", (CALLS | VALUES).map(dumps) | DEEP | LONG),
    "multipart": st.builds(
        _form,
        st.sampled_from(MODELS),
        st.lists(FORM_PIECES, max_size=14),
        st.sampled_from(["b", '"b"', "c", ""]),
    ),
    "files": st.builds(
        lambda model, body, media: Sent(f"/predict/{model}", body, {"content-type": media}),
        st.sampled_from((*MODELS, "数字")),
        FILES,
        st.sampled_from(["application/x-npy", "image/png", "application/octet-stream", "a/b"]),
    ),
}


INTERESTING = (
    *(b"null", b"-1", b"0", b"1e400", b"1e-400", b"99999999999999999999", b"NaN", b"true", b'""'),
    *(b"[]", b"{}", b"[[", b"]]", b",", b":", b"\x00", b"\xff", b"\\ud800", b"\r\n", b"--b"),
)


def mutated(body: bytes, chance: random.Random) -> bytes:
    """Returns a body with one to four places changed: bytes, pieces, numbers, whole parts."""
    data = bytearray(body)
    for _ in range(chance.randint(1, 4)):
        at = chance.randint(0, len(data))
        end = min(len(data), at + chance.randint(0, 8))
        kind = chance.randrange(5)
        if kind == 0 and at < len(data):
            data[at] = chance.randrange(256)
        elif kind == 1:
            del data[at:end]
        elif kind == 2:
            data[at:end] = chance.choice(INTERESTING)
        elif kind == 3:
            data[at:at] = data[at:end]
        else:
            start = chance.randint(0, len(data))
            data[at:end] = data[start : start + chance.randint(0, 40)]
    return bytes(data)


class Caller:
    """Sends requests over one kept connection."""

    def __init__(self, port: int, token: str) -> None:
        self._port, self._token = port, token
        self._connection = self._connect()

    def check(self, sent: Sent) -> None:
        """Sends a request and checks what every answer must be.

        Raises:
            AssertionError: It is an internal error, or a refusal without words.
        """
        status, body = self._ask(sent)
        told = json.loads(body) if status >= 400 else {}
        is_model = told.get("code") == "model_failed"  # numbers so large that the model overflows
        assert status < 500 or is_model, (status, body[:500], sent)
        assert status < 400 or told.get("message"), (status, body[:500], sent)

    def close(self) -> None:
        self._connection.close()

    def _ask(self, sent: Sent) -> tuple[int, bytes]:
        headers = {"authorization": f"Bearer {self._token}", **sent.headers}
        path = sent.path.replace("数字", "%E6%95%B0%E5%AD%97")
        for is_last in (False, True):
            try:
                self._connection.request("POST", path, sent.body, headers)
                answer = self._connection.getresponse()
                return answer.status, answer.read()
            except (http.client.RemoteDisconnected, ConnectionError):
                if is_last:
                    raise
                self._connection.close()
        raise AssertionError("unreachable")

    def _connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self._port, timeout=TIMEOUT_S)


RAW = st.lists(
    st.sampled_from(
        [
            b"GET / HTTP/1.1\r\n",
            b"POST /predict/square HTTP/1.1\r\n",
            b"Host: 127.0.0.1\r\n",
            b"Content-Length: 5\r\n",
            b"Transfer-Encoding: chunked\r\n",
            b"Expect: 100-continue\r\n",
            b"Connection: close\r\n",
            b"\r\n",
            b"5\r\nhello\r\n0\r\n\r\n",
            b"x-request-timeout-ms: 1\r\n",
        ]
    )
    | st.binary(max_size=12),
    max_size=10,
).map(b"".join)


HEADS = st.sampled_from(
    [
        b"GET /v2/health/live HTTP/1.1\r\nHost: a.localhost\r\n\r\n",
        b"GET /v2/health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        b"GET /v2/health/live HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
        b"GET /v2 HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"POST /predict/square HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n"
        b"Content-Length: 5\r\n\r\nhello",
        b"POST /predict/square HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n"
        b"Connection: close\r\n\r\n0\r\n\r\n",
    ]
)
CLOSES = (b"connection: close", b"http/1.0", b"host: b\r\n")
PIPELINED = st.tuples(
    st.lists(HEADS, min_size=1, max_size=8), st.binary(max_size=12), st.booleans()
)


def check_pipelined(port: int, sent: tuple[list[bytes], bytes, bool]) -> None:
    """Sends requests at once, with bytes after the last, and checks the count of answers.

    Raises:
        AssertionError: More was answered than was asked before the connection's last request.
        TimeoutError: The endpoint kept the connection.
    """
    heads, extra, closes_side = sent
    last = next((i for i, head in enumerate(heads) if _ends(head)), None)
    with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_S) as connection:
        answer = b""
        try:
            connection.sendall(b"".join(heads) + extra)
            if closes_side or last is None:
                connection.shutdown(socket.SHUT_WR)
            while part := connection.recv(65536):
                answer += part
        except ConnectionError:
            pass  # it ended while bytes were still on their way
    count = answer.replace(b"HTTP/1.1 100 ", b"").count(b"HTTP/1.1 ")
    most = len(heads) + bool(extra) if last is None else last + 1
    assert b"HTTP/1.1 5" not in answer, (sent, answer[:500])
    assert count <= most, (sent, answer[:2000])


def _ends(head: bytes) -> bool:
    return any(mark in head.lower() for mark in (*CLOSES, b"upgrade: h2c"))


def check_raw(port: int, data: bytes) -> None:
    """Sends bytes that may be no HTTP at all, closes this side, and reads to the end.

    Raises:
        AssertionError: An answer is an internal error.
        TimeoutError: The endpoint kept the connection.
    """
    with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_S) as connection:
        answer = b""
        try:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            while part := connection.recv(65536):
                answer += part
        except (ConnectionError, OSError) as error:
            if isinstance(error, TimeoutError):
                raise
    assert b"HTTP/1.1 5" not in answer, (data, answer[:500])
