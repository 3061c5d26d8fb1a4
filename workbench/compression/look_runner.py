"""Answers of a recipe on a few samples without building its file: a look costs one pass.

The float graph is taken with the weights that each layer's treatment gives it, inputs rounded to
their grid. After a change of weights the product re-estimates BatchNorm; here each such output
gets the mean and spread that it had before from the statistics of the samples themselves, within
the same pass.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.compression.effects import Effect, Grid
from workbench.compression.ordering import ordered_nodes
from workbench.compression.subject import Layer
from workbench.core import optional
from workbench.exporting.graph import copy_graph
from workbench.runtime.session import open_session

if TYPE_CHECKING:
    import onnx

_FOR = "quick looks"
_BIAS = 2
_BIASED = frozenset({"Conv", "Gemm", "ConvTranspose"})
_SMALL = 1e-12
_UINT8 = np.dtype(np.uint8)


class LookRunner:
    """See the module's docstring.

    Args:
        graph: The float graph, batch size free.
        layers: Layers that may change; each one node with one constant weight.
        repaired: Names of those whose outputs get their moments back (Conv or Gemm).
        inputs: Samples, float32 [n, …].
        weights: Of the samples [n], adding up to 1.
        folder: Where graphs may be written.
        max_gain: No channel is scaled by more.
    """

    def __init__(
        self,
        graph: onnx.ModelProto,
        layers: Sequence[Layer],
        repaired: Sequence[str],
        inputs: np.ndarray,
        weights: np.ndarray,
        folder: Path,
        max_gain: float,
    ) -> None:
        self._graph = graph
        self._layers = {layer.name: layer for layer in layers}
        self._repaired = list(repaired)
        self._inputs = np.ascontiguousarray(inputs)
        self._weights = np.asarray(weights, np.float32)[None, :]
        self._folder = folder
        self._max_gain = max_gain
        self._moments = self._find_moments() if repaired else {}

    def outputs(self, effects: Mapping[str, Effect], repair: Sequence[str]) -> np.ndarray:
        """Returns the outputs [n, …] with these effects, each of which has a weight.

        Args:
            effects: By layer name.
            repair: Names of layers whose outputs are repaired.
        """
        writer = _Writer(self._graph, self._weights, self._max_gain)
        for name, effect in effects.items():
            writer.change(self._layers[name], effect)
        for name in repair:
            if name in self._moments:
                writer.repair(self._layers[name], *self._moments[name])
        found = self._run(writer.finished())
        return found[self._graph.graph.output[0].name]

    def _find_moments(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        writer = _Writer(self._graph, self._weights, self._max_gain)
        names = {name: writer.watch(self._layers[name]) for name in self._repaired}
        found = self._run(writer.finished())
        moments = {}
        for name, (mean, square) in names.items():
            average = found[mean]
            spread = np.sqrt(np.maximum(found[square] - average**2, 0.0))
            moments[name] = (average, spread)
        return moments

    def _run(self, graph: onnx.ModelProto) -> dict[str, np.ndarray]:
        path = self._folder / "look.onnx"
        path.write_bytes(graph.SerializeToString())
        return open_session(path).run_named({graph.graph.input[0].name: self._inputs})


class _Writer:
    """A copy of a graph to which changes and repairs are written."""

    def __init__(self, graph: onnx.ModelProto, weights: np.ndarray, max_gain: float) -> None:
        self._helper = optional.require("onnx.helper", for_=_FOR)
        self._arrays = optional.require("onnx.numpy_helper", for_=_FOR)
        self._graph = copy_graph(graph)
        self._nodes = {node.name: node for node in self._graph.graph.node}
        self._values = {item.name: item for item in self._graph.graph.initializer}
        self._more: list[Any] = []
        self._max_gain = max_gain
        self._add("look_weights", weights)

    def change(self, layer: Layer, effect: Effect) -> None:
        """Gives a layer its changed weight, bias and input."""
        node = self._nodes[layer.node]
        node.input[1] = self._add(f"{layer.node}.look_weight", effect.weight)
        if effect.bias is not None and node.op_type in _BIASED:
            del node.input[_BIAS:]
            node.input.append(self._add(f"{layer.node}.look_bias", effect.bias.ravel()))
        if effect.grid is not None:
            node.input[0] = self._rounded(node.input[0], effect.grid, layer.node)

    def repair(self, layer: Layer, mean: np.ndarray, spread: np.ndarray) -> None:
        """Gives a layer's output [n, C, …] mean and spread [1, C] of each channel back."""
        node = self._nodes[layer.node]
        raw, final = f"{layer.node}.look_raw", node.output[0]
        node.output[0] = raw
        first, second = self._moments(raw, layer)
        part = f"{layer.node}.look"
        squared = self._make("Mul", [first, first], f"{part}_squared")
        variance = self._make("Sub", [second, squared], f"{part}_variance")
        tiny = self._add(f"{part}_tiny", np.float32(_SMALL))
        most = self._add(f"{part}_most", np.float32(self._max_gain))
        deviation = self._make(
            "Sqrt", [self._make("Max", [variance, tiny], f"{part}_positive")], f"{part}_deviation"
        )
        wanted = self._add(f"{part}_wanted", spread)
        gain = self._make("Div", [wanted, deviation], f"{part}_ratio")
        gain = self._make("Min", [gain, most], f"{part}_gain")
        moved = self._make("Mul", [gain, first], f"{part}_moved")
        center = self._add(f"{part}_mean", mean)
        shift = self._make("Sub", [center, moved], f"{part}_shift")
        if layer.op_type != "Gemm":
            gain, shift = self._as_channels(gain, shift, node)
        scaled = self._make("Mul", [raw, gain], f"{part}_scaled")
        self._more.append(self._helper.make_node("Add", [scaled, shift], [final]))

    def watch(self, layer: Layer) -> tuple[str, str]:
        """Returns the names of outputs that are the mean and mean square of each channel."""
        names = self._moments(self._nodes[layer.node].output[0], layer)
        for name in names:
            self._graph.graph.output.append(self._helper.make_empty_tensor_value_info(name))
        return names

    def finished(self) -> onnx.ModelProto:
        """Returns the graph, its nodes in order."""
        self._graph.graph.node.extend(self._more)
        nodes = [type(node).FromString(node.SerializeToString()) for node in self._ordered()]
        del self._graph.graph.node[:]
        self._graph.graph.node.extend(nodes)
        used = {name for node in nodes for name in node.input}
        kept = [item for item in self._graph.graph.initializer if item.name in used]
        del self._graph.graph.initializer[:]
        self._graph.graph.initializer.extend(kept)
        return self._graph

    def _ordered(self) -> list[Any]:
        return ordered_nodes(self._graph)

    def _moments(self, name: str, layer: Layer) -> tuple[str, str]:
        square = self._make("Mul", [name, name], f"{layer.node}.look_square")
        means = []
        for source, kind in ((name, "first"), (square, "second")):
            part = f"{layer.node}.look_{kind}"
            if layer.op_type != "Gemm":
                pooled = self._make("GlobalAveragePool", [source], f"{part}_pooled")
                source = self._make("Flatten", [pooled], f"{part}_flat")
            means.append(self._make("MatMul", ["look_weights", source], f"{part}_moment"))
        return means[0], means[1]

    def _as_channels(self, gain: str, shift: str, node: Any) -> tuple[str, str]:
        axes = len(self._values[node.input[1]].dims) - 2
        shape = self._add(f"{node.name}.look_shape", np.array([1, -1, *[1] * axes], np.int64))
        return (
            self._make("Reshape", [gain, shape], f"{gain}_channels"),
            self._make("Reshape", [shift, shape], f"{shift}_channels"),
        )

    def _rounded(self, source: str, grid: Grid, name: str) -> str:
        dtype = _UINT8 if grid.low == 0 else np.dtype(np.int8)
        scale = self._add(f"{name}.look_scale", np.float32(grid.scale))
        zero = self._add(f"{name}.look_zero", np.asarray(grid.zero, dtype))
        whole = self._make("QuantizeLinear", [source, scale, zero], f"{name}.look_whole")
        return self._make("DequantizeLinear", [whole, scale, zero], f"{name}.look_rounded")

    def _make(self, kind: str, inputs: list[str], output: str) -> str:
        self._more.append(self._helper.make_node(kind, inputs, [output]))
        return output

    def _add(self, name: str, value: Any) -> str:
        item = self._arrays.from_array(np.ascontiguousarray(value).reshape(np.shape(value)), name)
        self._graph.graph.initializer.append(item)
        self._values[name] = item
        return name
