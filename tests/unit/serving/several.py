"""Models and a modality of several tensors, for the tests of serving."""

from __future__ import annotations

from contextlib import contextmanager

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from workbench.core.config import Config
from workbench.core.errors import InputError
from workbench.core.records import Description
from workbench.core.signature import Signature, TensorSpec
from workbench.data.modalities import MODALITIES
from workbench.data.modality import Modality

SPECS = (
    TensorSpec("signal", "float32", ("batch", 2, "time")),
    TensorSpec("lengths", "int64", ("batch",)),
)
DTYPES = {
    "flag": ("bool", TensorProto.BOOL, "BOOL"),
    "text": ("str", TensorProto.STRING, "BYTES"),
    "double": ("float64", TensorProto.DOUBLE, "FP64"),
    "half": ("float16", TensorProto.FLOAT16, "FP16"),
    "long": ("int64", TensorProto.INT64, "INT64"),
    "byte": ("uint8", TensorProto.UINT8, "UINT8"),
    "short": ("int16", TensorProto.INT16, "INT16"),
    "wide": ("uint64", TensorProto.UINT64, "UINT64"),
}


def save_masked(path, *, is_told=True):
    """Writes a model of signals of any length: their mean, and every moment doubled.

    If it is told, the mean is taken over as many moments as `lengths` says; else over all.
    """
    node = helper.make_node
    nodes = [node("Mul", ["signal", "two"], ["trace"])]
    if is_told:
        nodes += [
            node("Shape", ["signal"], ["shape"], start=2, end=3),
            node("Squeeze", ["shape"], ["time"]),
            node("Range", ["zero", "time", "one"], ["moments"]),
            node("Unsqueeze", ["lengths", "last"], ["ends"]),
            node("Less", ["moments", "ends"], ["inside"]),
            node("Cast", ["inside"], ["flat_mask"], to=TensorProto.FLOAT),
            node("Unsqueeze", ["flat_mask", "last"], ["mask"]),
            node("Mul", ["signal", "mask"], ["kept"]),
            node("ReduceSum", ["kept", "axis"], ["sum"], keepdims=0),
            node("Cast", ["ends"], ["counts"], to=TensorProto.FLOAT),
            node("Div", ["sum", "counts"], ["mean"]),
        ]
    else:
        nodes += [
            node("Cast", ["lengths"], ["unused"], to=TensorProto.FLOAT),
            node("ReduceMean", ["signal"], ["mean"], axes=[2], keepdims=0),
        ]
    constants = {
        "two": np.float32(2),
        "zero": np.int64(0),
        "one": np.int64(1),
        "last": np.array([1], np.int64),
        "axis": np.array([2], np.int64),
    }
    value = helper.make_tensor_value_info
    return _write(
        path,
        nodes,
        [
            value("signal", TensorProto.FLOAT, ["batch", 2, "time"]),
            value("lengths", TensorProto.INT64, ["batch"]),
        ],
        [
            value("mean", TensorProto.FLOAT, ["batch", 2]),
            value("trace", TensorProto.FLOAT, ["batch", 2, "time"]),
        ],
        constants,
    )


def save_echoes(path):
    """Writes a model that gives back what it takes, of every sort of value."""
    value = helper.make_tensor_value_info
    nodes = [helper.make_node("Identity", [name], [f"{name}_out"]) for name in DTYPES]
    ends = [
        [value(f"{name}{end}", kind, ["batch", "n"]) for name, (_, kind, _) in DTYPES.items()]
        for end in ("", "_out")
    ]
    return _write(path, nodes, *ends, {})


def values(rows=2, sizes=3):
    """Returns an input for `save_echoes`, whose values are telling in each dtype."""
    count = np.arange(rows * sizes).reshape(rows, sizes)
    return {
        "flag": count % 2 == 0,
        "text": np.array([["", "a", "数字"]] * rows, object),
        "double": count + 1e-12,
        "half": (count / 8).astype(np.float16),
        "long": count + 2**53 + 1,
        "byte": (count + 250).clip(0, 255).astype(np.uint8),
        "short": (count - 2**15).astype(np.int16),
        "wide": count.astype(np.uint64) + np.uint64(2**63 + 1),
    }


class SignalConfig(Config):
    """Nothing is fitted."""

    pads: bool = True


class Signals(Modality):
    """Signals of two channels and any length."""

    summary = "Signals of two channels"
    Config = SignalConfig
    what = "signals"

    def examples(self, rng):
        raise NotImplementedError

    fit = normalization = sketch = sample_shape = examples

    def signature(self, config):
        return SPECS

    def padding(self, config):
        return {"signal": 0.0} if config.pads else None

    def decode(self, value, config):
        raise NotImplementedError

    def decode_batch(self, values, config):
        arrays = [np.asarray(value, np.float32) for value in values]
        wrong = [array.shape for array in arrays if array.ndim != 2 or len(array) != 2]
        if wrong:
            raise InputError(f"Got a signal of shape {wrong[0]}; 2 channels would be right.")
        lengths = np.array([array.shape[1] for array in arrays])
        signal = np.zeros((len(arrays), 2, lengths.max()), np.float32)
        for row, array in zip(signal, arrays, strict=True):
            row[:, : array.shape[1]] = array
        return {"signal": signal, "lengths": lengths}

    def split_batch(self, value, config):
        return list(value) if np.ndim(value[0]) == 2 else [value]

    def example(self, config):
        return [[0.0, 1.0, 2.0], [1.0, 0.0, 1.0]]


@contextmanager
def signals():
    """Makes the modality known for the time of the block."""
    MODALITIES.add("signals", Signals())
    try:
        yield
    finally:
        del MODALITIES._loaded["signals"]
        MODALITIES._own.discard("signals")


def description(*, pads=True):
    """Returns what a model of signals says of itself."""
    return Description(
        task="regression",
        output="value",
        labels=(),
        signature=Signature(SPECS, (TensorSpec("mean", "float32", ("batch", 2)),)),
        modality="signals",
        preprocessing={"kind": "signals", "version": 1, "pads": pads},
    )


def _write(path, nodes, inputs, outputs, constants):
    fixed = [numpy_helper.from_array(np.asarray(item), name) for name, item in constants.items()]
    graph = helper.make_graph(nodes, "several", inputs, outputs, fixed)
    opset = [helper.make_opsetid("", 17)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path


def save_wide_kernel(path, width):
    """Writes a convolution over time that needs at least `width` moments."""
    value = helper.make_tensor_value_info
    return _write(
        path,
        [helper.make_node("Conv", ["x", "kernel"], ["y"])],
        [value("x", TensorProto.FLOAT, ["batch", 1, "time"])],
        [value("y", TensorProto.FLOAT, ["batch", 1, "rest"])],
        {"kernel": np.ones((1, 1, width), np.float32)},
    )
