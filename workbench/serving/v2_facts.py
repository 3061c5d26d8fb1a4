"""What V2 tells of the server and its models, in the words that HTTP and gRPC share."""

from __future__ import annotations

from typing import Any

from workbench.core.signature import TensorSpec
from workbench.serving.binary import DATATYPES
from workbench.serving.router import Router
from workbench.serving.served import Served

_PLATFORM, _BACKEND = "onnxruntime_onnx", "onnxruntime"


def server_facts() -> dict[str, Any]:
    """Returns name, version and extensions of the server."""
    return {
        "name": "workbench",
        "version": "2",
        "extensions": [
            "binary_tensor_data",
            "generate",
            "model_configuration",
            "model_repository",
            "schedule_policy",
        ],
    }


def model_facts(served: Served, router: Router) -> dict[str, Any]:
    """Returns a model's versions and tensors; a free dimension is -1."""
    return {
        "name": served.name,
        "versions": [other.version for other in router if other.name == served.name],
        "platform": _PLATFORM,
        "inputs": [_tensor(spec) for spec in served.signature.inputs],
        "outputs": [_tensor(spec) for spec in served.signature.outputs],
    }


def config_facts(served: Served) -> dict[str, Any]:
    """Returns a model's configuration.

    The batch dimension goes without saying where requests share runs.
    """
    batcher = served.batcher
    return {
        "name": served.name,
        "platform": _PLATFORM,
        "backend": _BACKEND,
        "max_batch_size": served.max_rows if batcher.can_batch else 0,
        "input": [_configured(spec, batcher.can_batch) for spec in served.signature.inputs],
        "output": [_configured(spec, batcher.can_batch) for spec in served.signature.outputs],
    }


def _tensor(spec: TensorSpec) -> dict[str, Any]:
    shape = [dim if isinstance(dim, int) else -1 for dim in spec.shape]
    return {"name": spec.name, "datatype": DATATYPES[spec.dtype], "shape": shape}


def _configured(spec: TensorSpec, is_batched: bool) -> dict[str, Any]:
    dims = [dim if isinstance(dim, int) else -1 for dim in spec.shape]
    kind = DATATYPES[spec.dtype]
    data_type = f"TYPE_{'STRING' if kind == 'BYTES' else kind}"
    return {"name": spec.name, "data_type": data_type, "dims": dims[int(is_batched) :]}
