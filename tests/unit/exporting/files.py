"""ONNX files as other tools write them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper, save
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression


def logistic(path: Path, *, reshape_to: list[int]) -> tuple[Path, LogisticRegression]:
    """A logistic regression with its weights in Constant nodes, unnamed, Gemm not transposed."""
    data = load_digits()
    model = LogisticRegression(max_iter=50, tol=0.1).fit(data.data / 16.0, data.target)
    constants = {
        "W": (model.coef_.T / 16.0).astype(np.float32),
        "b": model.intercept_.astype(np.float32),
        "shape": np.array(reshape_to, np.int64),
    }
    nodes = [
        helper.make_node("Constant", [], [name], value=numpy_helper.from_array(value, name))
        for name, value in constants.items()
    ]
    nodes.append(helper.make_node("Reshape", ["x", "shape"], ["flat"]))
    nodes.append(helper.make_node("Gemm", ["flat", "W", "b"], ["y"]))
    graph = helper.make_graph(
        nodes,
        "logistic",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 10])],
    )
    save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10),
        str(path),
    )
    return path, model
