"""A network of two inputs and two outputs: a series of any length and codes of an embedding.

Written with onnx.helper and answered by NumPy, so that neither torch nor ONNX Runtime is believed.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

CODES, WIDTH, HIDDEN, CLASSES = 400, 6, 8, 3
LABELS = ("down", "flat", "up")
SIGNAL, PLACES = ("batch", 2, "time"), ("batch", 4)


def weights(seed: int = 0) -> dict[str, np.ndarray]:
    """Returns the network's weights."""
    rng = np.random.default_rng(seed)
    shapes = {
        "kernel": (HIDDEN, 2, 3),
        "kernel_bias": (HIDDEN,),
        "table": (CODES, WIDTH),
        "head": (HIDDEN + WIDTH, CLASSES),
        "head_bias": (CLASSES,),
        "trace": (1, HIDDEN, 1),
        "W": (1, 4 * HIDDEN, HIDDEN),
        "R": (1, 4 * HIDDEN, HIDDEN),
    }
    return {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


def save(path: Path, *, seed: int = 0, is_recurrent: bool = False, is_told: bool = False) -> Path:
    """Writes the network: `signal` and `codes` give `scores` and, at every moment, `trend`.

    If it is told, a third input `time_lengths` says how many moments count.
    """
    node = helper.make_node
    nodes = [
        node("Conv", ["signal", "kernel", "kernel_bias"], ["seen"], "conv", pads=[1, 1]),
        node("Relu", ["seen"], ["rectified"], "relu"),
        node("Conv", ["rectified", "trace"], ["trend"], "tracing"),
        node("Gather", ["table", "codes"], ["looked_up"], "embedding"),
        node("ReduceMean", ["looked_up"], ["meaning"], "meaning", axes=[1], keepdims=0),
    ]
    if is_recurrent:
        nodes += [
            node("Transpose", ["rectified"], ["steps"], "steps", perm=[2, 0, 1]),
            node("LSTM", ["steps", "W", "R"], ["", "state"], "lstm", hidden_size=HIDDEN),
            node("Squeeze", ["state", "first_axis"], ["level"], "level"),
        ]
    elif is_told:
        nodes += [
            node("Shape", ["signal"], ["shape"], start=2, end=3),
            node("Squeeze", ["shape"], ["time"]),
            node("Range", ["zero", "time", "one"], ["moments"]),
            node("Unsqueeze", ["time_lengths", "last_axis"], ["ends"]),
            node("Less", ["moments", "ends"], ["inside"]),
            node("Cast", ["inside"], ["flat_mask"], to=TensorProto.FLOAT),
            node("Unsqueeze", ["flat_mask", "last_axis"], ["mask"]),
            node("Mul", ["rectified", "mask"], ["kept"]),
            node("ReduceSum", ["kept", "time_axis"], ["sum"], keepdims=0),
            node("Cast", ["ends"], ["counts"], to=TensorProto.FLOAT),
            node("Div", ["sum", "counts"], ["level"]),
        ]
    else:
        reduced = node("ReduceMean", ["rectified"], ["level"], "level", axes=[2], keepdims=0)
        nodes.append(reduced)
    nodes += [
        node("Concat", ["level", "meaning"], ["both"], "both", axis=1),
        node("Gemm", ["both", "head", "head_bias"], ["scores"], "head"),
    ]
    value = helper.make_tensor_value_info
    read = {name for item in nodes for name in item.input}
    axes = {"first_axis": [0], "last_axis": [1], "time_axis": [2], "zero": 0, "one": 1}
    known = {**weights(seed), **{name: np.array(axis, np.int64) for name, axis in axes.items()}}
    lengths = [value("time_lengths", TensorProto.INT64, ["batch"])] if is_told else []
    graph = helper.make_graph(
        nodes,
        "mixed",
        [
            value("signal", TensorProto.FLOAT, SIGNAL),
            value("codes", TensorProto.INT64, PLACES),
            *lengths,
        ],
        [
            value("scores", TensorProto.FLOAT, ["batch", CLASSES]),
            value("trend", TensorProto.FLOAT, ["batch", 1, "time"]),
        ],
        [numpy_helper.from_array(item, name) for name, item in known.items() if name in read],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path


def samples(count: int, length: int = 12, seed: int = 1) -> dict[str, np.ndarray]:
    """Returns inputs by name."""
    rng = np.random.default_rng(seed)
    return {
        "signal": rng.normal(size=(count, 2, length)).astype(np.float32),
        "codes": rng.integers(0, CODES, size=(count, 4)),
    }


def answers(inputs: dict[str, np.ndarray], seed: int = 0) -> dict[str, np.ndarray]:
    """Returns what the network without an LSTM answers, computed by NumPy."""
    known = weights(seed)
    padded = np.pad(inputs["signal"], [(0, 0), (0, 0), (1, 1)])
    windows = np.lib.stride_tricks.sliding_window_view(padded, 3, axis=2)
    seen = np.einsum("nctk,ock->not", windows, known["kernel"]) + known["kernel_bias"][:, None]
    rectified = np.maximum(seen, 0)
    both = [rectified.mean(axis=2), known["table"][inputs["codes"]].mean(axis=1)]
    scores = np.concatenate(both, axis=1) @ known["head"] + known["head_bias"]
    return {"scores": scores, "trend": np.einsum("not,xo->nxt", rectified, known["trace"][..., 0])}
