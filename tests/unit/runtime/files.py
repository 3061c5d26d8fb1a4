"""Small ONNX files written by hand, so that runtime tests need no torch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper, save


def linear(path: Path, inputs: int = 64, outputs: int = 10, hidden: int = 32) -> Path:
    """Writes relu(x·A)·B with seeded weights."""
    rng = np.random.default_rng(0)
    weights = {
        "A": rng.normal(size=(inputs, hidden)).astype(np.float32),
        "B": rng.normal(size=(hidden, outputs)).astype(np.float32),
    }
    nodes = [
        helper.make_node("MatMul", ["input", "A"], ["h"], name="first"),
        helper.make_node("Relu", ["h"], ["r"], name="relu"),
        helper.make_node("MatMul", ["r", "B"], ["output"], name="second"),
    ]
    graph = helper.make_graph(
        nodes,
        "linear",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["batch", inputs])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, ["batch", outputs])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    save(model, str(path))
    return path
