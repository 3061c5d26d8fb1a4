"""Triton's gRPC client and its own messages, as the tests of gRPC send them."""

from __future__ import annotations

from functools import partial

import grpc
import numpy as np
import pytest
from tritonclient.grpc import (
    InferenceServerClient,
    InferInput,
    service_pb2,
    service_pb2_grpc,
)

from workbench.serving.service import Settings

RPC = Settings(grpc_port=0)
ZEROS = np.zeros((1, 1, 8, 8), np.float32)


class Client:
    """Triton's client with a token sent along."""

    def __init__(self, found, token=None, **options):
        self.headers = {"authorization": f"Bearer {token or found.token}"}
        self.client = InferenceServerClient(f"127.0.0.1:{found.service.grpc_port}", **options)

    def __getattr__(self, name):
        return partial(getattr(self.client, name), headers=self.headers)


def tensor(name, value, datatype):
    made = InferInput(name, value.shape, datatype)
    made.set_data_from_numpy(value)
    return made


def digits_input(value=ZEROS):
    return [tensor("input", value, "FP32")]


def call(found, request, *, token=None, metadata=(), timeout=10):
    """Sends a message of Triton's own making and returns the answer with its trailers."""
    with grpc.insecure_channel(f"127.0.0.1:{found.service.grpc_port}") as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        method = getattr(stub, type(request).__name__.removesuffix("Request"))
        sent = (("authorization", f"Bearer {token or found.token}"), *metadata)
        return method(request, metadata=sent, timeout=timeout)


def refusal(work):
    with pytest.raises(grpc.RpcError) as caught:
        work()
    return caught.value


def typed(model, name, datatype, shape, **contents):
    request = service_pb2.ModelInferRequest(model_name=model, id="t")
    made = request.inputs.add(name=name, datatype=datatype, shape=shape)
    for field, values in contents.items():
        getattr(made.contents, field).extend(values)
    return request
