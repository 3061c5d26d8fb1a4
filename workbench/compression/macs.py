"""Multiply-accumulates of a graph for one sample, node by node, exact from shapes. No torch."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from workbench.compression.feeding import feeds_of
from workbench.compression.ordering import ordered_nodes
from workbench.core import optional
from workbench.core.batch import Batch
from workbench.exporting.graph import copy_graph, strip

if TYPE_CHECKING:
    import onnx

_FOR = "counting multiply-accumulates"
Shapes = Mapping[str, tuple[int, ...]]
Sizes = Mapping[str, int]
NO_SIZES: Sizes = MappingProxyType({})
_GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}


def count_macs(graph: onnx.ModelProto, sizes: Sizes = NO_SIZES) -> int:
    """Returns the multiply-accumulates of `graph` for one sample (batch 1).

    Args:
        graph: The graph.
        sizes: Of its free dimensions, by name; those not among them are 1.
    """
    return sum(node_macs(graph, sizes).values())


def node_macs(graph: onnx.ModelProto, sizes: Sizes = NO_SIZES) -> dict[str, int]:
    """Returns multiply-accumulates by node (its first output's name); nodes without any left out.

    Convolutions, matrix products and recurrent layers count, in float and integer forms;
    element-wise work does not. A node whose shapes cannot be inferred counts as nothing.
    """
    shapes = tensor_shapes(graph, sizes)
    found = {}
    for node in graph.graph.node:
        rule = _RULES.get(node.op_type)
        count = rule(node, shapes) if rule is not None else 0
        if count:
            found[node.output[0]] = count
    return found


def free_sizes(graph: onnx.ModelProto, sample: Batch) -> dict[str, int]:
    """Returns the sizes that the graph's free dimensions have in a sample, by name."""
    feeds = feeds_of(graph, sample)
    return {
        dim.dim_param: size
        for item in graph.graph.input
        if item.name in feeds
        for dim, size in zip(
            item.type.tensor_type.shape.dim[1:], feeds[item.name].shape[1:], strict=False
        )
        if dim.dim_param
    }


def tensor_shapes(graph: onnx.ModelProto, sizes: Sizes = NO_SIZES) -> dict[str, tuple[int, ...]]:
    """Returns the shape of each tensor whose shape is known once the batch size is 1."""
    inference = optional.require("onnx.shape_inference", for_=_FOR)
    twin = strip(copy_graph(graph))
    nodes = ordered_nodes(twin)
    del twin.graph.node[:]
    twin.graph.node.extend(nodes)
    for value in (*twin.graph.input, *twin.graph.output):
        for index, size in enumerate(value.type.tensor_type.shape.dim):
            if index == 0 or not size.HasField("dim_value"):
                size.dim_value = sizes.get(size.dim_param, 1) if index else 1
    inferred = inference.infer_shapes(twin, data_prop=True).graph
    shapes = {item.name: tuple(item.dims) for item in inferred.initializer}
    for value in (*inferred.input, *inferred.value_info, *inferred.output):
        dims = value.type.tensor_type.shape.dim
        if value.type.tensor_type.HasField("shape") and all(d.HasField("dim_value") for d in dims):
            shapes[value.name] = tuple(d.dim_value for d in dims)
    return shapes


def _convolution(node: Any, shapes: Shapes) -> int:
    weight, output = shapes.get(node.input[1]), shapes.get(node.output[0])
    return math.prod(output) * math.prod(weight[1:]) if weight and output else 0


def _transposed(node: Any, shapes: Shapes) -> int:
    weight, source = shapes.get(node.input[1]), shapes.get(node.input[0])
    return math.prod(source) * math.prod(weight[1:]) if weight and source else 0


def _gemm(node: Any, shapes: Shapes) -> int:
    source, output = shapes.get(node.input[0]), shapes.get(node.output[0])
    if not source or not output:
        return 0
    is_transposed = any(item.name == "transA" and item.i for item in node.attribute)
    return math.prod(output) * source[0 if is_transposed else -1]


def _product(node: Any, shapes: Shapes) -> int:
    source, output = shapes.get(node.input[0]), shapes.get(node.output[0])
    return math.prod(output) * source[-1] if source and output else 0


def _blocked(node: Any, shapes: Shapes) -> int:
    source = shapes.get(node.input[0])
    width = next((item.i for item in node.attribute if item.name == "N"), 0)
    return math.prod(source) * width if source else 0


def _recurrent(node: Any, shapes: Shapes) -> int:
    source, weight = shapes.get(node.input[0]), shapes.get(node.input[1])
    hidden = shapes.get(node.input[2])
    if not source or not weight or not hidden:
        return 0
    steps = source[0] * source[1]
    return steps * weight[0] * _GATES[node.op_type] * hidden[-1] * (source[-1] + hidden[-1])


_RULES: Mapping[str, Callable[[Any, Shapes], int]] = {
    "Conv": _convolution,
    "ConvInteger": _convolution,
    "ConvTranspose": _transposed,
    "Gemm": _gemm,
    "FusedGemm": _gemm,
    "MatMul": _product,
    "MatMulInteger": _product,
    "MatMulNBits": _blocked,
    **dict.fromkeys(_GATES, _recurrent),
}
