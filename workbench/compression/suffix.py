"""Answers of a graph in which one layer is changed, from that layer on.

The activations before each layer are computed once and kept, so a change costs half a pass.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.compression.feeding import feeds_of
from workbench.compression.ordering import ordered_nodes
from workbench.core import optional
from workbench.core.batch import Batch
from workbench.exporting.graph import copy_graph
from workbench.runtime.session import Session, open_session

if TYPE_CHECKING:
    import onnx

    from workbench.compression.subject import Layer

_FOR = "probing layers"
_X, _W, _B = "probe_input", "probe_weight", "probe_bias"
_BIASED = frozenset({"Conv", "Gemm", "ConvTranspose"})


class Probes:
    """See the module's docstring.

    Args:
        graph: The float graph, batch size free.
        layers: Layers to change; each one node with one constant weight.
        inputs: Samples [N, …].
        folder: Where the parts of the graph may be written.
    """

    def __init__(
        self, graph: onnx.ModelProto, layers: Sequence[Layer], inputs: Batch, folder: Path
    ) -> None:
        self._graph = graph
        self._folder = folder
        self._nodes = ordered_nodes(graph)
        self._places = {node.name: index for index, node in enumerate(self._nodes)}
        self._constants = {item.name: item for item in graph.graph.initializer}
        self._layers = {layer.name: layer for layer in layers}
        self._sessions: dict[str, Session] = {}
        self._known = self._run_whole(inputs)
        self._output = graph.graph.output[0]
        self.outputs = self._known[self._output.name]

    def layer_input(self, name: str) -> np.ndarray:
        """Returns the activations that a layer reads."""
        node = self._node(name)
        return self._known[node.input[self._layers[name].data_place(node)]]

    def changed(
        self, name: str, weight: np.ndarray, bias: np.ndarray | None, values: np.ndarray
    ) -> np.ndarray:
        """Returns the outputs [N, …] with one layer's weight, bias and input replaced.

        Args:
            name: The layer.
            weight: As the graph has it.
            bias: Likewise; None for none.
            values: The layer's input.
        """
        if not self._reaches(name):
            return self.outputs
        session = self._session(name)
        feeds = {_X: values, _W: weight}
        for spec in session.signature.inputs:
            if spec.name == _B:
                feeds[_B] = self._zeros(name, weight) if bias is None else bias
            elif spec.name not in feeds:
                feeds[spec.name] = self._known[spec.name]
        return session.run_named(feeds)[self._output.name]

    def _reaches(self, name: str) -> bool:
        """Returns whether the output is computed after a layer: others are for other outputs."""
        later = self._nodes[self._places[self._layers[name].node] :]
        return any(self._output.name in node.output for node in later)

    def _zeros(self, name: str, weight: np.ndarray) -> np.ndarray:
        node = self._node(name)
        if node.op_type == "Gemm":
            flipped = any(item.name == "transB" and item.i for item in node.attribute)
            return np.zeros(weight.shape[0 if flipped else 1], np.float32)
        return np.zeros(weight.shape[0], np.float32)

    def _node(self, name: str) -> Any:
        return self._nodes[self._places[self._layers[name].node]]

    def _run_whole(self, inputs: Batch) -> dict[str, np.ndarray]:
        wanted = {name for layer in self._layers.values() for name in self._cut(layer.name)}
        feeds = feeds_of(self._graph, inputs)
        twin = copy_graph(self._graph)
        given = {item.name for item in twin.graph.output}
        names = sorted(wanted - set(feeds) - given)
        helper = optional.require("onnx.helper", for_=_FOR)
        for name in names:
            twin.graph.output.append(helper.make_empty_tensor_value_info(name))
        found = self._open(twin, "whole").run_named(feeds)
        return {**feeds, **found}

    def _cut(self, name: str) -> set[str]:
        """Returns the tensors computed before a layer that it or a later node reads."""
        later = self._nodes[self._places[self._layers[name].node] :]
        made = {output for node in later for output in node.output}
        read = {tensor for node in later for tensor in node.input if tensor}
        return read - made - set(self._constants)

    def _session(self, name: str) -> Session:
        if name not in self._sessions:
            place = self._places[self._layers[name].node]
            self._sessions[name] = self._open(self._part(name), f"from_{place}")
        return self._sessions[name]

    def _part(self, name: str) -> onnx.ModelProto:
        helper = optional.require("onnx.helper", for_=_FOR)
        place = self._places[self._layers[name].node]
        first = type(self._nodes[place])()
        first.CopyFrom(self._nodes[place])
        layer = self._layers[name]
        source, weight = layer.data_place(first), layer.weight_place(first)
        first.input[source], first.input[weight] = _X, _W
        if first.op_type in _BIASED:
            del first.input[2:]
            first.input.append(_B)
        nodes = [first, *self._nodes[place + 1 :]]
        made = {output for node in nodes for output in node.output}
        read = {tensor for node in nodes for tensor in node.input if tensor}
        part = type(self._graph)()
        part.ir_version = self._graph.ir_version
        part.opset_import.extend(self._graph.opset_import)
        part.functions.extend(self._graph.functions)
        part.graph.name = "part"
        part.graph.node.extend(nodes)
        part.graph.initializer.extend(item for key, item in self._constants.items() if key in read)
        part.graph.output.append(self._output)
        for key in sorted(read - made - set(self._constants)):
            value = self.layer_input(name) if key == _X else self._known.get(key)
            dtype = np.dtype(np.float32) if value is None else value.dtype
            kind = helper.np_dtype_to_tensor_dtype(dtype)
            part.graph.input.append(helper.make_tensor_value_info(key, kind, None))
        return part

    def _open(self, graph: onnx.ModelProto, name: str) -> Session:
        path = self._folder / f"{name}.onnx"
        path.write_bytes(graph.SerializeToString())
        return open_session(path)


def run_graph(
    graph: onnx.ModelProto, feeds: Mapping[str, np.ndarray], folder: Path
) -> dict[str, np.ndarray]:
    """Returns all outputs of a graph that is run once."""
    path = folder / "once.onnx"
    path.write_bytes(graph.SerializeToString())
    return open_session(path).run_named(feeds)
