"""V2 over gRPC as Triton's own client speaks it: tensors, facts, refusals, who may call."""

from __future__ import annotations

import json
import time

import grpc
import numpy as np
import pytest
from tritonclient.grpc import (
    InferenceServerClient,
    InferRequestedOutput,
    model_config_pb2,
    service_pb2,
    service_pb2_grpc,
)
from tritonclient.utils import InferenceServerException

from tests.unit.serving import models
from tests.unit.serving.harness import running, wait_for
from tests.unit.serving.rpc_client import (
    RPC,
    Client,
    call,
    digits_input,
    refusal,
    tensor,
    typed,
)
from workbench.core.errors import InputError
from workbench.serving.gateway import read_gateway
from workbench.serving.payloads import Keeping
from workbench.serving.rpc import schema
from workbench.serving.rpc.calls import SERVICE
from workbench.serving.rpc.status import words_of
from workbench.serving.service import Settings
from workbench.serving.tokens import Grant, KeyLimits, new_token, with_digest


@pytest.fixture(scope="module")
def found(digits_source, digits_file, square_file, pair_file, folder, tmp_path_factory):
    log = tmp_path_factory.mktemp("requests")
    further = [models.save_echo(folder / "echo.onnx"), models.save_half(folder / "half.onnx")]
    sources = [digits_source, digits_file, square_file, pair_file, *further]
    with running(*sources, settings=RPC, log_folder=log) as endpoint:
        endpoint.log = log
        yield endpoint


@pytest.fixture
def client(found):
    made = Client(found)
    yield made
    made.client.close()


# what the protocol says --------------------------------------------------------------------


def test_every_field_has_the_number_and_type_that_triton_gives_it():
    """Walks both descriptions from the messages of each call; Triton's may know more fields."""
    own = schema.table()
    seen = set()

    def compare(name, theirs):
        if name in seen:
            return
        seen.add(name)
        fields = {field.number: field for field in theirs.fields}
        for number, field, kind in own[name]:
            found = fields[number]
            assert found.name == field, name
            inner = found.message_type
            if kind.endswith("{}"):
                assert inner.GetOptions().map_entry
                compare(kind[:-2], inner.fields_by_name["value"].message_type)
                continue
            assert found.is_repeated == kind.endswith("[]"), (name, field)
            kind = kind.removesuffix("[]")
            if kind in own:
                compare(kind, inner)
            else:
                wanted = {found.TYPE_ENUM: "int32"}.get(found.type, kind)
                assert wanted == kind
                same = getattr(found, f"TYPE_{kind.upper()}")
                assert found.type in (same, found.TYPE_ENUM), (name, field)

    types = service_pb2.DESCRIPTOR.message_types_by_name
    pairs = {
        "Live": "ServerLiveResponse",
        "Ready": "ServerReadyResponse",
        "Model": "ModelMetadataRequest",
        "Server": "ServerMetadataResponse",
        "ModelMetadata": "ModelMetadataResponse",
        "ModelConfig": "ModelConfigResponse",
        "IndexRequest": "RepositoryIndexRequest",
        "Index": "RepositoryIndexResponse",
        "RepositoryModel": "RepositoryModelLoadRequest",
        "InferRequest": "ModelInferRequest",
        "InferResponse": "ModelInferResponse",
        "StreamInferResponse": "ModelStreamInferResponse",
    }
    for name, theirs in pairs.items():
        compare(name, types[theirs])
    assert set(own) - seen == {"Nothing", "Health"}


def test_tensors_go_both_ways(client, batch, logits):
    result = client.infer("digits", digits_input(batch), model_version="1", request_id="a1")
    np.testing.assert_allclose(result.as_numpy("output"), logits, rtol=1e-4, atol=1e-4)
    response = result.get_response()
    assert (response.id, response.model_name, response.model_version) == ("a1", "digits", "1")


def test_several_inputs_and_the_outputs_asked_for(client):
    x, count = np.ones((3, 2), np.float32), np.full((3, 2), 4, np.int64)
    given = [tensor("x", x, "FP32"), tensor("count", count, "INT64")]
    result = client.infer("pair", given)
    np.testing.assert_array_equal(result.as_numpy("sum"), x + count)
    np.testing.assert_array_equal(result.as_numpy("product"), x * count)
    only = client.infer("pair", given, outputs=[InferRequestedOutput("product")])
    assert only.as_numpy("sum") is None
    np.testing.assert_array_equal(only.as_numpy("product"), x * count)


def test_texts_and_half_precision_numbers(client):
    words = np.array(["数字".encode(), b""], dtype=object)
    result = client.infer("echo", [tensor("text", words, "BYTES")]).as_numpy("echo_bytes")
    assert [word.decode() for word in result] == ["数字", ""]
    half = np.array([[1.5, -2.0]], np.float16)
    np.testing.assert_array_equal(
        client.infer("half", [tensor("x", half, "FP16")]).as_numpy("y"), half
    )


def test_typed_contents_are_answered_by_typed_contents(found, logits, batch):
    request = typed("digits", "input", "FP32", batch.shape, fp32_contents=batch.ravel().tolist())
    response = call(found, request)
    (output,) = response.outputs
    values = np.array(output.contents.fp32_contents, np.float32).reshape(output.shape)
    np.testing.assert_allclose(values, logits, rtol=1e-4, atol=1e-4)
    assert response.id == "t"
    assert not response.raw_output_contents
    words = typed("echo", "text", "BYTES", [2], bytes_contents=["数字".encode(), b""])
    assert list(call(found, words).outputs[0].contents.bytes_contents) == ["数字".encode(), b""]
    request.parameters["binary_data_output"].bool_param = True
    assert len(call(found, request).raw_output_contents[0]) == 4 * logits.size


def test_what_the_server_and_its_models_say_of_themselves(client):
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("digits", "1")
    assert not client.is_model_ready("digits", "7")
    assert not client.is_model_ready("digit")
    assert client.get_server_metadata().name == "workbench"
    metadata = client.get_model_metadata("pair")
    assert list(metadata.versions) == ["1"]
    assert [(t.name, t.datatype, list(t.shape)) for t in metadata.inputs] == [
        ("x", "FP32", [-1, 2]),
        ("count", "INT64", [-1, 2]),
    ]
    index = client.get_model_repository_index().models
    assert ("pair", "1", "READY") in [(m.name, m.version, m.state) for m in index]


def test_the_configuration_names_types_as_triton_numbers_them(client):
    config = client.get_model_config("pair").config
    assert (config.name, config.backend, config.max_batch_size) == ("pair", "onnxruntime", 64)
    types = [model_config_pb2.DataType.Name(tensor.data_type) for tensor in config.input]
    assert types == ["TYPE_FP32", "TYPE_INT64"]
    assert list(config.output[0].dims) == [2]
    texts = client.get_model_config("echo").config.input[0]
    assert model_config_pb2.DataType.Name(texts.data_type) == "TYPE_STRING"


def test_liveness_and_health_need_no_token(found):
    with InferenceServerClient(f"127.0.0.1:{found.service.grpc_port}") as open_client:
        assert open_client.is_server_live()
        assert open_client.is_server_ready()
    with grpc.insecure_channel(f"127.0.0.1:{found.service.grpc_port}") as channel:
        assert channel.unary_unary("/grpc.health.v1.Health/Check")(b"") == b"\x08\x01"


# refusals ----------------------------------------------------------------------------------


def test_refusals_arrive_in_words(client, batch):
    with pytest.raises(InferenceServerException, match="did you mean 'digits'") as caught:
        client.infer("digit", digits_input())
    assert caught.value.status() == "StatusCode.NOT_FOUND"
    with pytest.raises(InferenceServerException, match=r"\[batch, 1, 8, 8\] would be right") as bad:
        client.infer("digits", digits_input(batch[..., :7]))
    assert bad.value.status() == "StatusCode.INVALID_ARGUMENT"
    with pytest.raises(InferenceServerException, match="'FP32' would be right"):
        client.infer("digits", [tensor("input", batch.astype(np.float64), "FP64")])
    with pytest.raises(InferenceServerException, match="No call 'ModelStatistics'"):
        client.get_inference_statistics("digits")


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (typed("digits", "input", "FP32", [1, 1, 8, 8], fp64_contents=[0.0] * 64), "fp32_contents"),
        (typed("digits", "input", "FP32", [1, 1, 8, 8], fp32_contents=[0.0] * 63), "64 would be"),
        (
            typed("digits", "input", "FP32", [-1, 1, 8, 8], fp32_contents=[0.0] * 64),
            "list of sizes",
        ),
        (typed("half", "x", "FP16", [1, 2], fp32_contents=[1.0, 2.0]), "raw_input_contents only"),
        (typed("echo", "text", "BYTES", [1], bytes_contents=[b"\xff"]), "not UTF-8"),
        (typed("digits", "inputs", "FP32", [1], fp32_contents=[1.0]), "did you mean 'input'"),
    ],
)
def test_every_problem_of_a_message_is_named(found, request_, words):
    error = refusal(lambda: call(found, request_))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert words in error.details()


def test_several_problems_are_told_at_once(found):
    request = typed("pair", "x", "FP64", [1, 2], fp64_contents=[1.0, 2.0])
    request.inputs.add(name="counts", datatype="INT64", shape=[1, 2])
    request.outputs.add(name="difference")
    request.parameters["timeout"].string_param = "soon"
    details = refusal(lambda: call(found, request)).details()
    for words in ("'FP32' would be right", "mean 'count'", "'difference'", "whole microseconds"):
        assert words in details


def test_what_another_server_would_do_is_refused_rather_than_ignored(found):
    request = typed("digits", "input", "FP32", [1, 1, 8, 8], fp32_contents=[0.0] * 64)
    request.outputs.add(name="output").parameters["classification"].int64_param = 3
    assert "classification" in refusal(lambda: call(found, request)).details()
    request = typed("digits", "input", "FP32", [1, 1, 8, 8])
    request.inputs[0].parameters["shared_memory_region"].string_param = "mine"
    assert "shared_memory_region" in refusal(lambda: call(found, request)).details()
    request = typed("digits", "input", "FP32", [1, 1, 8, 8])
    request.raw_input_contents.extend([b"", b""])
    assert "one for each" in refusal(lambda: call(found, request)).details()


def test_bytes_that_are_no_message(found):
    with grpc.insecure_channel(f"127.0.0.1:{found.service.grpc_port}") as channel:
        method = channel.unary_unary(f"/{SERVICE}/ModelInfer")
        headers = (("authorization", f"Bearer {found.token}"),)
        error = refusal(lambda: method(b"\xff\xff\xff", metadata=headers))
        other = refusal(lambda: channel.unary_unary("/other.Service/Do")(b""))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "not the protobuf message" in error.details()
    assert other.code() is grpc.StatusCode.UNIMPLEMENTED


def test_long_words_are_cut_to_what_a_client_takes(found):
    text = words_of(InputError("数" * 5000))
    assert len(text) < 500
    assert text.endswith("…")
    error = refusal(lambda: call(found, typed("字" * 3000, "x", "FP32", [1])))
    assert error.code() is grpc.StatusCode.NOT_FOUND


# tokens ------------------------------------------------------------------------------------


def add(found, **grant):
    clear = new_token()
    found.loop.call_soon_threadsafe(found.gate.add, with_digest(clear, Grant(**grant)))
    return clear


def test_who_may_call(found):
    request = typed("digits", "input", "FP32", [1, 1, 8, 8], fp32_contents=[0.0] * 64)
    with grpc.insecure_channel(f"127.0.0.1:{found.service.grpc_port}") as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        assert refusal(lambda: stub.ModelInfer(request)).code() is grpc.StatusCode.UNAUTHENTICATED
    wrong = refusal(lambda: call(found, request, token="x" * 40))
    assert wrong.code() is grpc.StatusCode.PERMISSION_DENIED
    assert dict(wrong.trailing_metadata())["workbench-error"] == "forbidden"
    ended = add(found, name="ended", expires=time.time() - 1)
    assert "expired" in refusal(lambda: call(found, request, token=ended)).details()
    one = add(found, name="one", models=["pair"])
    assert "not for the model" in refusal(lambda: call(found, request, token=one)).details()
    index = call(found, service_pb2.RepositoryIndexRequest(), token=one).models
    assert [model.name for model in index] == ["pair"]
    assert call(found, request, token=found.reader).id == "t"
    found.call(_revoke(found, "one"))
    assert "does not know" in refusal(lambda: call(found, request, token=one)).details()


async def _revoke(found, name):
    found.gate.revoke(name)


def test_limits_of_a_token(found):
    request = typed("digits", "input", "FP32", [1, 1, 8, 8], fp32_contents=[0.0] * 64)
    slow = add(found, name="slow", limits=KeyLimits(rate=0.01, burst=1))
    assert call(found, request, token=slow).id == "t"
    error = refusal(lambda: call(found, request, token=slow))
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert int(dict(error.trailing_metadata())["grpc-retry-pushback-ms"]) > 1000
    small = add(found, name="small", limits=KeyLimits(body_bytes=100))
    assert "100" in refusal(lambda: call(found, request, token=small)).details()
    few = add(found, name="few", limits=KeyLimits(values=63))
    assert "64 numbers" in refusal(lambda: call(found, request, token=few)).details()


def test_calls_are_counted_and_logged_like_requests(found, client):
    client.infer(
        "pair",
        [
            tensor("x", np.ones((1, 2), np.float32), "FP32"),
            tensor("count", np.ones((1, 2), np.int64), "INT64"),
        ],
    )
    with pytest.raises(InferenceServerException):
        client.infer("pair", digits_input())
    page = found.http.get("/metrics").text
    labels = 'model="pair",version="1",dialect="grpc"'
    assert f'workbench_requests_total{{{labels},status="200"}}' in page
    assert f'workbench_requests_total{{{labels},status="422"}}' in page
    assert 'workbench_in_flight{model="pair",version="1"} 0' in page

    def lines():
        texts = [file.read_text() for file in found.log.glob("*.jsonl")]
        rows = [json.loads(line) for text in texts for line in text.splitlines()]
        return [row for row in rows if row["model"] == "pair" and row["error"] == "bad_input"]

    row = wait_for(lines)[0]
    assert (row["dialect"], row["path"]) == ("grpc", f"/{SERVICE}/ModelInfer")
    assert (row["caller"], row["from"]) == ("main", "127.0.0.1")


def test_samples_are_kept_and_a_trusted_proxys_word_counts(digits_source, tmp_path):
    settings = Settings(
        grpc_port=0,
        keeping=Keeping(),
        gateway=read_gateway("", ["127.0.0.1"], "X-Forwarded-User"),
    )
    with running(digits_source, settings=settings, log_folder=tmp_path) as endpoint:
        request = typed("数字", "input", "FP32", [1, 1, 8, 8], fp32_contents=[1.0] * 64)
        said = (("x-forwarded-for", "10.1.2.3"), ("x-forwarded-user", "ada"))
        call(endpoint, request, metadata=said)
    (kept,) = (tmp_path / "payloads").glob("*.jsonl")
    assert json.loads(kept.read_text())["array"]["shape"] == [1, 8, 8]
    (log,) = tmp_path.glob("*.jsonl")
    row = json.loads(log.read_text().splitlines()[-1])
    assert (row["from"], row["user"], row["rows"]) == ("10.1.2.3", "ada", 1)
