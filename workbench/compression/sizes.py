"""Bytes of an ONNX file, and what each layer adds to them, without writing a file.

A file is its graph's parts one after another, so its size is additive: what a treatment of a
layer adds is found once, and the sum over the layers of a recipe is the file's size.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from workbench.compression.ordering import ordered_nodes
from workbench.exporting.graph import copy_graph, strip

if TYPE_CHECKING:
    import onnx

_SEVEN_BITS = 7


def file_size(graph: onnx.ModelProto) -> int:
    """Returns the bytes of the file that `save_graph` would write."""
    return int(strip(copy_graph(graph)).ByteSize())


def layer_sizes(graph: onnx.ModelProto, nodes: Mapping[str, str]) -> dict[str, int]:
    """Returns the bytes that belong to each layer alone: its node, weights, scales, casts.

    What a layer shares (activations and their quantization) belongs to none.

    Args:
        graph: The graph; layers whose node is not in it are left out.
        nodes: Node name by layer name.
    """
    by_name = {node.name: node for node in graph.graph.node}
    makers = {name: node for node in graph.graph.node for name in node.output}
    values = {item.name: item for item in graph.graph.initializer}
    fixed = _constant_tensors(graph)
    sizes = {}
    for layer, name in nodes.items():
        if name in by_name:
            parts = _parts(by_name[name], makers, values, fixed)
            sizes[layer] = sum(_framed(part) for part in parts)
    return sizes


def _constant_tensors(graph: onnx.ModelProto) -> set[str]:
    """Returns tensors that do not depend on the graph's inputs."""
    fixed = {item.name for item in graph.graph.initializer} | {""}
    for node in ordered_nodes(graph):
        if all(name in fixed for name in node.input):
            fixed.update(node.output)
    return fixed


def _parts(node: Any, makers: Any, values: Any, fixed: set[str]) -> list[Any]:
    parts, pending, seen = [node], list(node.input), set()
    while pending:
        name = pending.pop()
        if not name or name not in fixed or name in seen:
            continue
        seen.add(name)
        if name in values:
            parts.append(values[name])
        elif name in makers:
            parts.append(makers[name])
            pending += makers[name].input
    return parts


def _framed(part: Any) -> int:
    """Returns the bytes of a part within its file: one for the field, some for the length."""
    size = int(part.ByteSize())
    return size + 1 + max(1, -(-size.bit_length() // _SEVEN_BITS))
