"""Edits around one weighted ONNX node: find it, take its weight, put nodes before or in its place.

What local graph methods (`low_rank`, `cluster`, `quantize_weights`) share. No torch.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.compression.subject import Layer, Subject
from workbench.core import optional
from workbench.exporting.graph import copy_graph

if TYPE_CHECKING:
    import onnx

_FOR = "editing an ONNX graph"
_BIAS_INPUT = 2
_OPSET_WITH_INT4, _IR_WITH_INT4 = 21, 10
_CHANGED_MEANING = frozenset({"GroupNormalization"})


def why_no_weights(subject: Subject) -> str | None:
    """Returns why no weight can be packed in the graph, or None."""
    if any(layer.initializer for layer in subject.layers):
        return None
    return "the graph has no layer with constant weights"


class Editor:
    """A copy of a graph under edit.

    Args:
        graph: Stays as it is.
    """

    def __init__(self, graph: onnx.ModelProto) -> None:
        self.graph = copy_graph(graph)
        self._helper = optional.require("onnx.helper", for_=_FOR)
        self._arrays = optional.require("onnx.numpy_helper", for_=_FOR)

    def node(self, layer: Layer) -> onnx.NodeProto:
        """Returns the node of `layer`."""
        found: onnx.NodeProto = next(n for n in self.graph.graph.node if n.name == layer.node)
        return found

    def value(self, name: str) -> np.ndarray:
        """Returns the initializer `name`."""
        item = next(item for item in self.graph.graph.initializer if item.name == name)
        value: np.ndarray = self._arrays.to_array(item)
        return value

    def bias(self, node: onnx.NodeProto) -> np.ndarray | None:
        """Returns the constant third input of `node`; None if it has none."""
        names = {item.name for item in self.graph.graph.initializer}
        if len(node.input) > _BIAS_INPUT and node.input[_BIAS_INPUT] in names:
            return self.value(node.input[_BIAS_INPUT])
        return None

    def uses(self, name: str) -> int:
        """Returns how many nodes take the tensor `name`."""
        return sum(list(node.input).count(name) for node in self.graph.graph.node)

    def add(self, name: str, value: np.ndarray) -> str:
        """Adds an initializer; returns `name`."""
        self.graph.graph.initializer.append(self.tensor(name, value))
        return name

    def make(
        self, kind: str, inputs: Iterable[str], output: str, name: str = "", **attributes: Any
    ) -> onnx.NodeProto:
        """Returns a new node that is not in the graph yet."""
        node: onnx.NodeProto = self._helper.make_node(
            kind, list(inputs), [output], name=name, **attributes
        )
        return node

    def put_before(self, node: onnx.NodeProto, nodes: Iterable[onnx.NodeProto]) -> None:
        """Inserts `nodes` before `node`, in order."""
        where = self._index(node)
        for offset, new in enumerate(nodes):
            self.graph.graph.node.insert(where + offset, new)

    def replace(self, node: onnx.NodeProto, nodes: Iterable[onnx.NodeProto]) -> None:
        """Puts `nodes` in the place of `node`."""
        self.put_before(node, nodes)
        self.graph.graph.node.remove(node)

    def compute_constant(
        self, name: str, values: Iterable[onnx.TensorProto], nodes: Iterable[onnx.NodeProto]
    ) -> int:
        """Makes the initializer `name` the result of `nodes` over `values`, if that is smaller.

        ONNX Runtime computes it once, when it loads the file.

        Returns:
            Bytes saved in the file; 0 if nothing was changed.
        """
        values, nodes = list(values), list(nodes)
        item = next(item for item in self.graph.graph.initializer if item.name == name)
        added = sum(v.ByteSize() for v in values) + sum(n.ByteSize() for n in nodes)
        saved: int = item.ByteSize() - added
        if saved <= 0:
            return 0
        self.graph.graph.initializer.remove(item)
        self.graph.graph.initializer.extend(values)
        for index, node in enumerate(nodes):
            self.graph.graph.node.insert(index, node)
        return saved

    def tensor(self, name: str, value: np.ndarray) -> onnx.TensorProto:
        """Returns an initializer (dtypes int4 and uint4 of ml_dtypes are packed), not added yet."""
        made: onnx.TensorProto = self._arrays.from_array(np.ascontiguousarray(value), name)
        return made

    def drop_unused(self, names: Iterable[str]) -> None:
        """Removes those of these initializers that no node takes any more."""
        gone = {name for name in names if not self.uses(name)}
        kept = [item for item in self.graph.graph.initializer if item.name not in gone]
        del self.graph.graph.initializer[:]
        self.graph.graph.initializer.extend(kept)

    def use_domain(self, domain: str) -> None:
        """Declares version 1 of an operator domain."""
        if domain not in {item.domain for item in self.graph.opset_import}:
            self.graph.opset_import.append(self._helper.make_opsetid(domain, 1))

    def _index(self, node: onnx.NodeProto) -> int:
        outputs = [other.output[0] for other in self.graph.graph.node]
        return outputs.index(node.output[0])


def attributes_of(node: onnx.NodeProto) -> dict[str, Any]:
    """Returns the attributes of `node` as plain values."""
    helper = optional.require("onnx.helper", for_=_FOR)
    return {item.name: helper.get_attribute_value(item) for item in node.attribute}


def with_int4(graph: onnx.ModelProto) -> onnx.ModelProto | None:
    """Returns a copy of `graph` whose version of ONNX has 4-bit integers (opset 21).

    Returns None if the graph cannot be brought to that version. Opset 21 gave the operators of
    opset 20 more number types and nothing else, but for GroupNormalization.
    """
    twin = copy_graph(graph)
    twin.ir_version = max(twin.ir_version, _IR_WITH_INT4)
    standard = next(item for item in twin.opset_import if item.domain in {"", "ai.onnx"})
    if standard.version >= _OPSET_WITH_INT4:
        return twin
    kinds = {node.op_type for node in twin.graph.node}
    if standard.version == _OPSET_WITH_INT4 - 1 and kinds.isdisjoint(_CHANGED_MEANING):
        standard.version = _OPSET_WITH_INT4
        return twin
    return _converted(twin)


def _converted(graph: onnx.ModelProto) -> onnx.ModelProto | None:
    converter = optional.require("onnx.version_converter", for_=_FOR)
    names = [node.name for node in graph.graph.node]
    try:
        newer: onnx.ModelProto = converter.convert_version(graph, _OPSET_WITH_INT4)
    except (RuntimeError, converter.ConvertError):
        return None
    newer.ir_version = max(newer.ir_version, _IR_WITH_INT4)
    kept = {node.name for node in newer.graph.node}
    return newer if kept.issuperset(names) else None
