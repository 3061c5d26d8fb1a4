"""Native parsers are not called near their limits: just below, at and above, in a child process.

A crash of the child is a failed test, not the end of all tests.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys

import numpy as np
import orjson
import pytest

from tests.unit.serving.test_large_json import SIGNATURE
from workbench.core.errors import WorkbenchError
from workbench.serving import jsonbody, large_json
from workbench.serving.infer_request import parse_call
from workbench.serving.jsonbody import check_counts, parse_json
from workbench.serving.large_json import LargeJson
from workbench.serving.limits import JSON_CONTAINERS, JSON_TEXTS, JSON_VALUES

SATURATES = 2**24 - 1
CHILD = """
import sys
from tests.unit.serving import test_native_limits as limits
limits.read_numbers(int(sys.argv[1]))
"""


def numbers(count: int, datatype: str = "FP32") -> bytes:
    head = b'{"inputs":[{"name":"x","shape":[%d],"datatype":"%s","data":['
    return head % (count, datatype.encode()) + b"1" + b",1" * (count - 1) + b"]}]}"


def read_numbers(count: int) -> None:
    """Reads so many numbers in every way, and says what came of it."""
    for datatype in ("FP32", "INT64"):
        body = numbers(count, datatype)
        found = LargeJson().load(body)
        if found is not None:
            assert len(found["inputs"][0]["data"]) == count
        sys.stdout.write("left " if found is None else "read ")
        try:
            parse_call(body, b"", SIGNATURE)
        except WorkbenchError as error:
            sys.stdout.write(f"{error.code} ")


def in_child(count: int) -> str:
    command = [sys.executable, "-c", CHILD, str(count)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, (done.returncode, done.stderr[-500:])
    return done.stdout.strip()


@pytest.mark.full
@pytest.mark.parametrize(
    ("count", "says"),
    [
        (JSON_VALUES - 100, "read read bad_input"),
        (JSON_VALUES + 100, "read too_large read too_large"),
        (SATURATES - 100, "read too_large read too_large"),
        (SATURATES, "left too_large left too_large"),
        (SATURATES + 1, "left too_large left too_large"),
        (SATURATES + 5000, "left too_large left too_large"),
        (2**25, "left too_large left too_large"),
    ],
)
def test_the_length_of_a_list_is_never_near_what_simdjson_counts(count, says):
    assert in_child(count) == says


def test_a_list_as_long_as_the_count_is_left_to_the_usual_parser(monkeypatch):
    monkeypatch.setattr(large_json, "_MOST_VALUES", 5000)
    reader = LargeJson()
    assert reader.load(numbers(4990)) is not None
    assert reader.load(numbers(5001)) is None
    assert reader.load(numbers(50_000)) is None


@pytest.mark.parametrize(
    ("name", "most", "piece"),
    [
        ("JSON_VALUES", JSON_VALUES, b"1"),
        ("JSON_CONTAINERS", JSON_CONTAINERS, b"{}"),
        ("JSON_TEXTS", JSON_TEXTS, b'""'),
    ],
)
def test_what_json_may_hold_is_counted_before_it_is_parsed(monkeypatch, name, most, piece):
    assert most < SATURATES
    few = 200_000
    monkeypatch.setattr(jsonbody, name, few)
    monkeypatch.setattr(jsonbody, "_ALWAYS_TAKEN", few)
    text = b"[%s]" % b",".join([piece] * (few - 2))
    check_counts(text + b" " * 300_000)
    many = b"[%s]" % b",".join([piece] * (few + 2))
    with monkeypatch.context() as patch:
        patch.setattr(orjson, "loads", lambda data: pytest.fail("it was parsed"))
        with pytest.raises(WorkbenchError, match=r"at most [24]00000 are taken") as refused:
            parse_json(many + b" " * 300_000)
    assert refused.value.http_status == 413


@pytest.mark.parametrize("depth", [1023, 1024, 1025, 100_000])
@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
def test_nesting_of_any_depth_is_read_or_refused(depth, opening):
    closing = b"]" if opening == b"[" else b"}"
    text = opening * depth + b"1" + closing * depth
    deep = b'{"inputs":[{"name":"x","shape":[1],"datatype":"FP32","data":%s}]}' % text
    for body in (text, deep, deep.replace(b'"data"', b'"shape"')):
        read = LargeJson().load(body)
        assert read is None or isinstance(read, dict)
        with pytest.raises(WorkbenchError):
            parse_call(body + b" " * 5000, b"", SIGNATURE)


@pytest.mark.parametrize("size", [300, 310, 5000, 1_000_000])
@pytest.mark.parametrize("form", [b"%s", b"-%s", b"0.%s", b"1e%s"])
def test_numbers_of_any_length_are_read_or_refused(size, form):
    text = form % (b"7" * size)
    body = b'{"inputs":[{"name":"x","shape":[1,1],"datatype":"FP32","data":[%s]}]}' % text
    with contextlib.suppress(WorkbenchError):
        call = parse_call(body + b" " * 5000, b"", SIGNATURE)
        assert call.inputs["x"].shape == (1, 1)


@pytest.mark.parametrize("size", [2**16, 2**20, pytest.param(2**26, marks=pytest.mark.full)])
def test_texts_of_any_length_are_read_or_refused(size):
    text = b"a" * size
    tensor = b'{"name":"%s","shape":[1],"datatype":"%s","data":["%s"]}'
    for names in ((text, b"FP32", b"a"), (b"x", text, b"a"), (b"x", b"FP32", text)):
        with pytest.raises(WorkbenchError) as refused:
            parse_call(b'{"inputs":[%s]}' % (tensor % names), b"", SIGNATURE)
        assert len(str(refused.value)) < 1000, "the text is not told back"


def test_arrays_from_bytes_are_those_of_their_bytes():
    """What NumPy makes of a caller's bytes is bounded by them: nothing is allocated by a header."""
    from workbench.serving.npy import read_npy

    text = "{'descr': '<f8', 'fortran_order': False, 'shape': (1099511627776,), }"
    body = b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()
    with pytest.raises(WorkbenchError, match="announces 8796093022208 bytes and 0 came"):
        read_npy(body)
    assert np.frombuffer(b"", np.float32).size == 0
