"""Whatever bytes come, the parsers refuse it in words or give tensors, nothing else."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.serving import models
from tests.unit.serving.harness import running
from workbench.core.errors import InputError, NotFoundError, UnsupportedError
from workbench.serving.errors import BadRequestError
from workbench.serving.json_rows import parse_call
from workbench.serving.jsonbody import parse_object
from workbench.serving.messages import Request
from workbench.serving.multipart import parse_form
from workbench.serving.protocols import v2
from workbench.serving.reading import reader
from workbench.serving.tensors import check_tensors

EXAMPLES = settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
REFUSALS = (BadRequestError, InputError, UnsupportedError)
SCALARS = st.none() | st.booleans() | st.integers(-5, 2**70) | st.floats() | st.text(max_size=5)
KEYS = st.sampled_from(["inputs", "name", "shape", "datatype", "data", "parameters", "b64", "x"])
VALUES = st.recursive(
    SCALARS | st.sampled_from(["input", "FP32", "INT64", "count", "x"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)
TENSORS = st.fixed_dictionaries(
    {
        "name": st.sampled_from(["input", "x", "count", "y"]),
        "shape": st.lists(st.integers(-1, 9), max_size=5) | VALUES,
        "datatype": st.sampled_from(["FP32", "INT64"]) | VALUES,
    },
    optional={
        "data": VALUES,
        "parameters": st.fixed_dictionaries({"binary_data_size": st.integers(-1, 40) | VALUES}),
    },
)
BODIES = st.fixed_dictionaries(
    {"inputs": st.lists(TENSORS, max_size=3) | VALUES}, optional={"outputs": VALUES, "id": VALUES}
)


ROWS = st.dictionaries(st.sampled_from(["input", "x", "count", "b64", "y"]), VALUES, max_size=3)
CALLS = st.dictionaries(
    st.sampled_from(["instances", "inputs"]), st.lists(ROWS | VALUES, max_size=4) | ROWS, max_size=2
)


def request(body, **headers):
    named = {key.replace("_", "-").encode(): value.encode() for key, value in headers.items()}
    made = Request("POST", b"/x", named)
    made.body = body
    return made


def dumps(value):
    try:
        return orjson.dumps(value)
    except TypeError:
        return b"null"


@pytest.fixture(params=["数字", "digits", "pair", "square", "echo"])
def served(endpoint, texts, request):
    found = texts if request.param == "echo" else endpoint
    return found.service.router.find(request.param)


@pytest.fixture(scope="module")
def texts(folder):
    with running(models.save_echo(folder / "echo.onnx")) as found:
        yield found


@EXAMPLES
@given(body=BODIES.map(dumps) | st.binary(max_size=60), blob=st.binary(max_size=40))
def test_v2_requests(served, body, blob):
    made = request(body + blob, inference_header_content_length=str(len(body)))
    with suppress(*REFUSALS):
        check_tensors(served.signature, v2._parse(made, served).inputs)


@EXAMPLES
@given(body=(CALLS | VALUES).map(dumps) | st.binary(max_size=60))
def test_rows_and_columns(served, body):
    with suppress(*REFUSALS, NotFoundError):
        call = parse_call(parse_object(body), served.signature)
        if call.files:
            call = replace(call, inputs=served.decoder.from_files(list(call.files)))
        check_tensors(served.signature, call.inputs)


@EXAMPLES
@given(body=VALUES.map(dumps) | st.binary(max_size=60))
def test_predict_requests(served, body):
    for media in ("application/json", "application/x-npy", "image/png", ""):
        with suppress(*REFUSALS):
            inputs = reader(request(body, content_type=media), served, ("inputs",))()
            check_tensors(served.signature, inputs)


@EXAMPLES
@given(
    pieces=st.lists(
        st.sampled_from([b"--b", b"\r\n", b"--", b'name="a"', b"Content-Disposition: form-data; "])
        | st.binary(max_size=6),
        max_size=14,
    )
)
def test_forms(pieces):
    with suppress(BadRequestError):
        assert parse_form("multipart/form-data; boundary=b", b"".join(pieces))
