"""Shapes and numbers that NumPy refuses are the caller's fault, in every dialect."""

from __future__ import annotations

import json

import numpy as np
import pytest
from tritonclient.grpc import service_pb2

from tests.unit.serving import models
from tests.unit.serving.fuzzing_rpc import code_of
from tests.unit.serving.harness import running
from tests.unit.serving.hostile import SHAPES, shaped
from workbench.core.errors import InputError
from workbench.serving.npy import read_npy
from workbench.serving.service import Settings
from workbench.serving.shapes import MOST_DIMS, checked_shape

HEADERS = {"content-type": "application/json"}


@pytest.fixture(scope="module")
def found(square_file, pair_file, folder):
    echo = models.save_echo(folder / "echo.onnx")
    with running(square_file, pair_file, echo, settings=Settings(grpc_port=0)) as endpoint:
        yield endpoint


@pytest.mark.parametrize("name", SHAPES)
def test_a_shape_that_is_none_is_refused_by_v2(found, name):
    for path in ("/v2/models/square/infer", "/v2/models/square/versions/1/infer"):
        answer = found.http.post(path, content=shaped(SHAPES[name]), headers=HEADERS)
        assert answer.status_code == 400, answer.text
        assert answer.json()["code"] == "bad_input"
        assert len(answer.content) < 2000


@pytest.mark.parametrize("name", SHAPES)
def test_a_shape_of_a_binary_tensor_is_refused(found, name):
    size = {"binary_data_size": 12}
    tensor = {"name": "input", "shape": SHAPES[name], "datatype": "FP32", "parameters": size}
    head = json.dumps({"inputs": [tensor]}).encode()
    answer = found.http.post(
        "/v2/models/square/infer",
        content=head + bytes(12),
        headers={"inference-header-content-length": str(len(head))},
    )
    assert answer.status_code == 400, answer.text


@pytest.mark.parametrize("raw", [False, True])
@pytest.mark.parametrize("name", SHAPES)
def test_a_shape_that_is_none_is_an_invalid_argument(found, name, raw):
    message = service_pb2.ModelInferRequest(model_name="square")
    try:
        tensor = message.inputs.add(name="input", datatype="FP32", shape=SHAPES[name])
    except (TypeError, ValueError):
        pytest.skip("gRPC cannot say it")
    if raw:
        message.raw_input_contents.append(bytes(12))
    else:
        tensor.contents.fp32_contents.extend([1, 2, 3])
    code = code_of(found.service.grpc_port, found.token, message.SerializeToString())
    assert code == "INVALID_ARGUMENT"


def nested(depth):
    value = 1
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize("depth", [31, 33, 63, 64, 65, 66, 900])
@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("/predict/{}", "inputs"),
        ("/predictions/{}", "data"),
        ("/v1/models/{}:predict", "instances"),
        ("/v1/models/{}:predict", "inputs"),
    ],
)
@pytest.mark.parametrize("model", ["square", "pair", "echo"])
def test_lists_of_any_depth_are_refused_in_words(found, model, path, key, depth):
    answer = found.http.post(path.format(model), json={key: nested(depth)})
    assert 400 <= answer.status_code < 500, answer.text
    texts = json.dumps({key: nested(depth)}).replace("1", '"a"')
    answer = found.http.post(path.format(model), content=texts, headers=HEADERS)
    assert 400 <= answer.status_code < 500, answer.text


def test_an_array_file_may_announce_any_shape(found):
    for shape in ([0, 2**62, 2**62], [1] * 40, [10**3000, 10**3000], [-1, 3], [True, 3]):
        text = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({str(shape)[1:-1]},), }}"
        head = text.encode().ljust(4000) if len(text) < 4000 else text.encode()
        body = b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head + bytes(12)
        with pytest.raises(InputError):
            read_npy(body)
        answer = found.http.post(
            "/predict/square", content=body, headers={"content-type": "application/x-npy"}
        )
        assert answer.status_code == 422, answer.text


@pytest.mark.parametrize("dims", [MOST_DIMS - 1, MOST_DIMS])
def test_what_passes_the_gate_numpy_takes(dims):
    shape = checked_shape([1] * dims, "x")
    assert np.zeros(1).reshape(shape).ndim == dims
    with pytest.raises(InputError, match="dimensions"):
        checked_shape([1] * (MOST_DIMS + 1), "x")


@pytest.mark.parametrize("shape", [[0, 2**20, 2**20], [2**40], [0]])
def test_sizes_up_to_the_limit_pass_the_gate(shape):
    assert checked_shape(shape, "x") == shape
    np.zeros(0).reshape([0, *shape])


def test_texts_of_no_length_are_refused(found):
    text = "{'descr': '<U0', 'fortran_order': False, 'shape': (3,), }"
    body = b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()
    with pytest.raises(InputError, match="no length"):
        read_npy(body)


def test_a_header_length_of_thousands_of_digits_is_refused(found):
    headers = {"inference-header-content-length": "9" * 5000}
    answer = found.http.post("/v2/models/square/infer", content=b"{}", headers=headers)
    assert answer.status_code == 400, answer.text
