"""Large JSON bodies are read as by the usual parser, only faster."""

import json

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.core.errors import InputError
from workbench.core.signature import Signature, TensorSpec
from workbench.serving.infer_request import parse_call
from workbench.serving.jsonbody import parse_object
from workbench.serving.large_json import LARGE_BYTES, LargeJson

SIGNATURE = Signature(
    (TensorSpec("x", "float32", ("n", 600)),), (TensorSpec("y", "float32", ("n", 1)),)
)
PAD = " " * LARGE_BYTES


def body(data, shape=(1, 600), datatype="FP32", **more):
    tensor = {"name": "x", "shape": list(shape), "datatype": datatype, "data": data}
    return json.dumps({"inputs": [tensor], **more}).encode() + PAD.encode()


def test_numbers_are_those_of_the_text_to_the_last_bit():
    values = np.random.default_rng(0).standard_normal(600)
    numbers = [*values.tolist()[:-4], 0, -1, 2**53 + 1, 1e-310]
    call = parse_call(body(numbers), b"", SIGNATURE)
    assert call.inputs["x"].dtype == np.float32
    assert np.array_equal(call.inputs["x"], np.asarray([numbers], np.float64).astype(np.float32))
    loaded = LargeJson().load(body(numbers))
    assert isinstance(loaded["inputs"][0]["data"], np.ndarray), "the quick way was taken"


@pytest.mark.parametrize(
    "data",
    [
        [[0.5] * 600],
        [[[0.5] * 300], [[0.5] * 300]],
        [True] * 600,
        [[0.5] * 599, 0.5],
        [None] * 600,
        ["1"] * 600,
        [0.5] * 599,
        [1e39] * 600,
        [10**30] * 600,
        [],
        {},
        "abc",
        7,
    ],
)
def test_lists_of_every_kind_are_taken_and_refused_as_by_the_usual_parser(data, monkeypatch):
    def outcome():
        try:
            return parse_call(body(data), b"", SIGNATURE).inputs["x"].tolist()
        except InputError as error:
            return str(error), error.problems

    quick = outcome()
    monkeypatch.setattr("workbench.serving.infer_request._LARGE.load", lambda body: None)
    assert quick == outcome()


@pytest.mark.parametrize("text", [b"[1", b'{"inputs": [NaN]}', b'{"inputs": [1e999]}', b"\xff"])
def test_errors_are_told_by_the_usual_parser(text):
    with pytest.raises(Exception, match="Got a body that is not JSON"):
        parse_call(text + b" " * LARGE_BYTES, b"", SIGNATURE)


FLOATS = st.floats(allow_nan=False, allow_infinity=False)
PLAIN = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | FLOATS | st.text(max_size=5)
JSON = st.recursive(
    PLAIN,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["data", "datatype", "a"]), inner, max_size=3)
    ),
    max_leaves=12,
)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.sampled_from(["inputs", "outputs", "id", "parameters"]), JSON))
def test_any_other_json_is_the_same_for_both_parsers(value):
    text = orjson.dumps(value)
    read = LargeJson().load(text)
    options = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_SORT_KEYS
    assert read is None or orjson.dumps(read, option=options) == orjson.dumps(
        parse_object(text), option=options
    )


def test_one_reader_reads_many_bodies():
    reader = LargeJson()
    for value in range(50):
        assert reader.load(body([value] * 600))["inputs"][0]["data"].tolist() == [value] * 600
        assert reader.load(b"{" + PAD.encode()) is None
