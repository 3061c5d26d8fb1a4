"""What a layer computes after its operator was replaced by others, as one weight.

Two factors in a row are their product, exactly. Other replacements of a matrix product (blocks of
4 bits, integers with a scale found at run time) are asked with the unit vectors, which tells their
weights but not what they do to activations.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.compression.ordering import ordered_nodes
from workbench.compression.suffix import run_graph

if TYPE_CHECKING:
    import onnx

_MATRICES = frozenset({"Gemm", "MatMul"})
_BIAS = 2
_LARGEST = 16_000_000


def factors_of(
    graph: onnx.ModelProto, before: Any, values: Mapping[str, np.ndarray]
) -> tuple[Any, Any] | None:
    """Returns the two nodes in a row that replaced `before`, each with a constant weight, or None.

    Args:
        graph: The graph after the change.
        before: The node as it was.
        values: Constants of `graph`.
    """
    makers = {name: node for node in graph.graph.node for name in node.output}
    second = makers.get(before.output[0])
    first = None if second is None else makers.get(second.input[0])
    if first is None or second is None or first.input[0] != before.input[0]:
        return None
    kinds = _MATRICES if before.op_type in _MATRICES else {before.op_type}
    pair = (first, second)
    if all(n.op_type in kinds and len(n.input) > 1 and n.input[1] in values for n in pair):
        return pair
    return None


def product_of(
    pair: tuple[Any, Any], before: Any, shape: tuple[int, ...], values: Mapping[str, np.ndarray]
) -> tuple[np.ndarray, np.ndarray | None] | None:
    """Returns weight (of `shape`) and bias of two factors in a row; None if it is not one weight.

    Args:
        pair: From `factors_of`.
        before: The node as it was.
        shape: Of its weight.
        values: Constants of the graph after the change.
    """
    first, second = (values[node.input[1]].astype(np.float64) for node in pair)
    weight = (
        first @ (second.T if _is_turned(pair[1]) else second)
        if before.op_type in _MATRICES
        else _convolved(first, second)
    )
    if weight is not None and before.op_type in _MATRICES and _is_turned(before):
        weight = weight.T
    if weight is None or weight.shape != shape:
        return None
    bias = pair[1].input[_BIAS] if len(pair[1].input) > _BIAS else ""
    return np.ascontiguousarray(weight, np.float32), values.get(bias)


def matrix_of(
    graph: onnx.ModelProto, before: Any, shape: tuple[int, ...], folder: Path
) -> tuple[np.ndarray, np.ndarray] | None:
    """Returns weight (of `shape`) and bias of whatever replaced a matrix product, or None.

    Args:
        graph: The graph after the change.
        before: The node as it was, Gemm or MatMul.
        shape: Of its weight.
        folder: Where a graph may be written.
    """
    if before.op_type not in _MATRICES or len(shape) != len(("in", "out")):
        return None
    is_turned = _is_turned(before)
    size = shape[1 if is_turned else 0]
    part = _between(graph, before.input[0], before.output[0])
    if part is None or size * size > _LARGEST:
        return None
    units = np.concatenate([np.eye(size), np.zeros((1, size))]).astype(np.float32)
    found = run_graph(part, {before.input[0]: units}, folder)[before.output[0]]
    bias = found[-1]
    weight = found[:-1] - bias
    return np.ascontiguousarray(weight.T if is_turned else weight), bias


def _convolved(first: np.ndarray, second: np.ndarray) -> np.ndarray | None:
    """Returns the kernel of two convolutions in a row: [r, c, …] then [o, r, …] → [o, c, …]."""
    if first.ndim != second.ndim or first.shape[0] != second.shape[1]:
        return None
    sizes = [a + b - 1 for a, b in zip(first.shape[2:], second.shape[2:], strict=True)]
    found = np.zeros((second.shape[0], first.shape[1], *sizes))
    for place in np.ndindex(*second.shape[2:]):
        where = tuple(slice(p, p + n) for p, n in zip(place, first.shape[2:], strict=True))
        part = np.tensordot(second[(slice(None), slice(None), *place)], first, axes=1)
        found[(slice(None), slice(None), *where)] += part
    return found


def _is_turned(node: Any) -> bool:
    return any(item.name == "transB" and item.i for item in node.attribute)


def _between(graph: onnx.ModelProto, source: str, target: str) -> onnx.ModelProto | None:
    """Returns the part of a graph from one tensor to another; None if it needs further inputs."""
    needed, nodes = {target}, []
    constants = {item.name for item in graph.graph.initializer}
    for node in reversed(ordered_nodes(graph)):
        if needed.intersection(node.output):
            nodes.append(node)
            needed.difference_update(node.output)
            needed.update(name for name in node.input if name and name != source)
    if not nodes or needed - constants:
        return None
    part = type(graph)()
    part.ir_version = graph.ir_version
    part.opset_import.extend(graph.opset_import)
    part.graph.name = "replaced"
    part.graph.node.extend(reversed(nodes))
    part.graph.initializer.extend(i for i in graph.graph.initializer if i.name in needed)
    inputs = part.graph.input.add()
    inputs.name = source
    inputs.type.tensor_type.elem_type = 1
    part.graph.output.add().name = target
    return part
