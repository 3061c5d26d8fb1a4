"""Small real models for the tests of serving, written with onnx.helper; no torch."""

from __future__ import annotations

import functools
import io
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

from workbench.core.records import Description
from workbench.core.signature import Signature, TensorSpec

LABELS = tuple("零一二三四五六七八九")
SIGNATURE = Signature(
    (TensorSpec("input", "float32", ("batch", 1, 8, 8)),),
    (TensorSpec("output", "float32", ("batch", 10)),),
)


@functools.cache
def digits():
    """Returns train inputs, test inputs (raw 8×8) and their targets."""
    inputs, targets = load_digits(return_X_y=True)
    split = train_test_split(inputs.reshape(-1, 8, 8), targets, test_size=0.25, random_state=0)
    return tuple(split)


@functools.cache
def digits_weights():
    """Returns weights [64, 10] for inputs of 0 to 1, and biases [10]."""
    train, _, targets, _ = digits()
    model = LogisticRegression(max_iter=300).fit(train.reshape(-1, 64) / 16, targets)
    return model.coef_.T.astype(np.float32), model.intercept_.astype(np.float32)


def save_digits(path: Path, *, shift: float = 0.0, is_dynamic: bool = False) -> Path:
    """Writes a digits classifier (logits); `shift` is added to the first logit.

    With `is_dynamic` its activations are quantized by a scale taken over the whole batch.
    """
    weights, bias = digits_weights()
    bias = bias.copy()
    bias[0] += np.float32(shift)
    initializers = {"w": weights / np.float32(16), "b": bias}
    nodes = [helper.make_node("Flatten", ["input"], ["flat"], axis=1)]
    if is_dynamic:
        nodes += [
            helper.make_node("DynamicQuantizeLinear", ["flat"], ["q", "scale", "zero"]),
            helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["back"]),
        ]
    source = "back" if is_dynamic else "flat"
    nodes.append(helper.make_node("Gemm", [source, "w", "b"], ["output"]))
    return _save(path, nodes, ["batch", 1, 8, 8], ["batch", 10], initializers)


def save_linear(path: Path, weights: np.ndarray) -> Path:
    """Writes x[batch, n] · weights[n, m]."""
    nodes = [helper.make_node("MatMul", ["input", "w"], ["output"])]
    n, m = weights.shape
    return _save(path, nodes, ["batch", n], ["batch", m], {"w": weights})


def save_digits_one(path: Path) -> Path:
    """Writes the digits classifier for exactly one sample at a time, as older exports do."""
    weights, bias = digits_weights()
    nodes = [
        helper.make_node("Flatten", ["input"], ["flat"], axis=1),
        helper.make_node("Gemm", ["flat", "w", "b"], ["output"]),
    ]
    initializers = {"w": weights / np.float32(16), "b": bias}
    return _save(path, nodes, [1, 1, 8, 8], [1, 10], initializers)


def save_square(path: Path) -> Path:
    """Writes a model without a batch dimension: x[3] → x² [3]."""
    return _save(path, [helper.make_node("Mul", ["input", "input"], ["output"])], [3], [3], {})


def save_echo(path: Path) -> Path:
    """Writes a model of texts: text[batch] comes back as echo_bytes[batch]."""
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("Identity", ["text"], ["echo_bytes"])],
        "echo",
        [value("text", TensorProto.STRING, ["batch"])],
        [value("echo_bytes", TensorProto.STRING, ["batch"])],
    )
    return _write(path, graph)


def save_half(path: Path) -> Path:
    """Writes a model of half-precision numbers: x[batch, 2] comes back as y."""
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["y"])],
        "half",
        [value("x", TensorProto.FLOAT16, ["batch", 2])],
        [value("y", TensorProto.FLOAT16, ["batch", 2])],
    )
    return _write(path, graph)


def png(digit: np.ndarray) -> bytes:
    """Returns a digit (8×8, 0 to 16) as the bytes of a gray PNG."""
    buffer = io.BytesIO()
    Image.fromarray((digit * (255 / 16)).astype(np.uint8)).save(buffer, format="PNG")
    return buffer.getvalue()


def save_two_inputs(path: Path) -> Path:
    """Writes a model of two inputs (float32 and int64) and two outputs."""
    nodes = [
        helper.make_node("Cast", ["count"], ["c"], to=TensorProto.FLOAT),
        helper.make_node("Add", ["x", "c"], ["sum"]),
        helper.make_node("Mul", ["x", "c"], ["product"]),
    ]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "two",
        [
            value("x", TensorProto.FLOAT, ["batch", 2]),
            value("count", TensorProto.INT64, ["batch", 2]),
        ],
        [
            value("sum", TensorProto.FLOAT, ["batch", 2]),
            value("product", TensorProto.FLOAT, ["batch", 2]),
        ],
    )
    return _write(path, graph)


def save_broken_above(path: Path, limit: float = 100.0) -> Path:
    """Writes a model that fails at run time for a row whose first value is above `limit`."""
    nodes = [
        helper.make_node("Gather", ["input", "zero"], ["first"], axis=1),
        helper.make_node("Greater", ["first", "limit"], ["large"]),
        helper.make_node("Cast", ["large"], ["place"], to=TensorProto.INT64),
        helper.make_node("Gather", ["table", "place"], ["looked_up"], axis=0),
        helper.make_node("Add", ["input", "looked_up"], ["output"]),
    ]
    initializers = {
        "zero": np.asarray([0], np.int64),
        "limit": np.asarray([limit], np.float32),
        "table": np.asarray([0.0], np.float32),
    }
    return _save(path, nodes, ["batch", 2], ["batch", 2], initializers)


def description(**changes) -> Description:
    """Returns what a digits classifier says of itself, with image preprocessing."""
    values = {
        "task": "classification",
        "output": "logits",
        "labels": LABELS,
        "signature": SIGNATURE,
        "modality": "image",
        "preprocessing": {
            "kind": "image",
            "version": 1,
            "size": [8, 8],
            "channels": 1,
            "layout": "hw",
            "dtype": "float32",
            "low": 0.0,
            "high": 16.0,
        },
    }
    return Description(**{**values, **changes})


def register(store, name: str, path: Path, **changes):
    """Registers an ONNX file as the next version of `name`."""
    blob = store.blobs.put_file(path)
    manifest = {
        "format": 1,
        "files": {"model.onnx": blob.to_json()},
        "description": description(**changes).to_json(),
    }
    return store.models.register(name, manifest)


def _save(path, nodes, shape_in, shape_out, initializers):
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "graph",
        [value("input", TensorProto.FLOAT, shape_in)],
        [value("output", TensorProto.FLOAT, shape_out)],
        [numpy_helper.from_array(array, name) for name, array in initializers.items()],
    )
    return _write(path, graph)


def _write(path, graph):
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path
