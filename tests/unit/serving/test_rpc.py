"""V2 over gRPC as Triton's own client speaks it: tensors, facts, refusals, deadlines, workers."""

from __future__ import annotations

import numpy as np
import pytest
from tritonclient.grpc import InferenceServerClient, InferInput, InferRequestedOutput
from tritonclient.grpc import model_config_pb2, service_pb2
from tritonclient.utils import InferenceServerException

from tests.unit.serving import models
from tests.unit.serving.harness import running
from workbench.serving.service import Settings

RPC = Settings(grpc_port=0)


class Client:
    """Triton's client with a token sent along."""

    def __init__(self, found, token=None):
        self.headers = {"authorization": f"Bearer {token or found.token}"}
        self.client = InferenceServerClient(f"127.0.0.1:{found.service.grpc_port}")

    def __getattr__(self, name):
        def call(*args, **options):
            return getattr(self.client, name)(*args, headers=self.headers, **options)

        return call


@pytest.fixture(scope="module")
def found(digits_source, digits_file, square_file, pair_file, tmp_path_factory):
    log = tmp_path_factory.mktemp("requests")
    with running(
        digits_source, digits_file, square_file, pair_file, settings=RPC, log_folder=log
    ) as endpoint:
        endpoint.log = log
        yield endpoint


@pytest.fixture
def client(found):
    made = Client(found)
    yield made
    made.client.close()


def tensor(name, value, datatype):
    made = InferInput(name, value.shape, datatype)
    made.set_data_from_numpy(value)
    return made


def test_tensors_go_both_ways(client, batch, logits):
    given = [tensor("input", batch, "FP32")]
    result = client.infer("digits", given, model_version="1", request_id="a1")
    np.testing.assert_allclose(result.as_numpy("output"), logits, rtol=1e-4, atol=1e-4)
    response = result.get_response()
    assert (response.id, response.model_name, response.model_version) == ("a1", "digits", "1")
