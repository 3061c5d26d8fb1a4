"""V2 over HTTP as Triton's own client speaks it: JSON and binary tensors, texts, refusals."""

from __future__ import annotations

import numpy as np
import pytest
from tritonclient.http import InferenceServerClient, InferInput, InferRequestedOutput
from tritonclient.utils import InferenceServerException

from tests.unit.serving import models
from tests.unit.serving.harness import running


class Client:
    """Triton's client with the token sent along; it writes into the headers it is given."""

    def __init__(self, found):
        self._token = found.token
        self.client = InferenceServerClient(found.url.removeprefix("http://"))

    def __getattr__(self, name):
        def call(*args, **options):
            headers = {"authorization": f"Bearer {self._token}"}
            return getattr(self.client, name)(*args, headers=headers, **options)

        return call


@pytest.fixture
def client(endpoint):
    found = Client(endpoint)
    yield found
    found.client.close()


def tensor(name, value, datatype, *, is_binary=True):
    made = InferInput(name, value.shape, datatype)
    made.set_data_from_numpy(value, binary_data=is_binary)
    return made


@pytest.mark.parametrize("is_binary_in", [True, False])
@pytest.mark.parametrize("is_binary_out", [True, False, None])
def test_tensors_go_both_ways(client, batch, logits, is_binary_in, is_binary_out):
    given = [tensor("input", batch, "FP32", is_binary=is_binary_in)]
    wanted = None
    if is_binary_out is not None:
        wanted = [InferRequestedOutput("output", binary_data=is_binary_out)]
    result = client.infer("digits", given, model_version="1", outputs=wanted, request_id="a1")
    np.testing.assert_allclose(result.as_numpy("output"), logits, rtol=1e-4, atol=1e-4)
    assert result.get_response()["id"] == "a1"


def test_several_inputs_and_outputs(client):
    x, count = np.ones((3, 2), np.float32), np.full((3, 2), 4, np.int64)
    given = [tensor("x", x, "FP32"), tensor("count", count, "INT64", is_binary=False)]
    result = client.infer("pair", given)
    np.testing.assert_array_equal(result.as_numpy("sum"), x + count)
    np.testing.assert_array_equal(result.as_numpy("product"), x * count)


def test_texts(tmp_path):
    with running(models.save_echo(tmp_path / "echo.onnx")) as found:
        client = Client(found)
        words = np.array(["数字", ""], dtype=object)
        for is_binary in (True, False):
            given = [tensor("text", words, "BYTES", is_binary=is_binary)]
            result = client.infer("echo", given).as_numpy("echo_bytes")
            assert [word.decode() for word in result] == ["数字", ""]
        client.client.close()


def test_what_the_server_and_its_models_say_of_themselves(client):
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("digits", "1")
    assert not client.is_model_ready("digits", "7")
    assert "model_configuration" in client.get_server_metadata()["extensions"]
    assert client.get_model_metadata("digits")["versions"] == ["1"]
    index = client.get_model_repository_index()
    assert {"name": "pair", "version": "1", "state": "READY"} in index


def test_the_configuration_leaves_the_batch_dimension_out_where_requests_share_runs(client):
    config = client.get_model_config("digits")
    assert config["max_batch_size"] == 64
    assert config["input"] == [{"name": "input", "data_type": "TYPE_FP32", "dims": [1, 8, 8]}]
    alone = client.get_model_config("square")
    assert (alone["max_batch_size"], alone["output"][0]["dims"]) == (0, [3])


def test_refusals_arrive_in_words(client, batch):
    with pytest.raises(InferenceServerException, match="did you mean 'digits'"):
        client.infer("digit", [tensor("input", batch, "FP32")])
    with pytest.raises(InferenceServerException, match=r"\[batch, 1, 8, 8\] would be right"):
        client.infer("digits", [tensor("input", batch[..., :7], "FP32")])
    with pytest.raises(InferenceServerException, match="'FP32' would be right"):
        client.infer("digits", [tensor("input", batch.astype(np.float64), "FP64")])
    with pytest.raises(InferenceServerException, match="No path '/v2/models/digits/stats'"):
        client.get_inference_statistics("digits")
