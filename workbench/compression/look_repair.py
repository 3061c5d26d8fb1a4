"""What gives each layer's output back its mean and spread after a change of many layers at once.

The product re-estimates BatchNorm after a change of weights (or corrects outputs, in files from
elsewhere). Here a few samples pass through the float graph, whose weights are inputs, so that one
session serves every recipe; on the way each output channel gets the moments it had. What that took,
a gain and a shift for each channel, is then part of weight and bias.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.compression.feeding import feeds_of
from workbench.compression.ordering import ordered_nodes
from workbench.compression.subject import Layer
from workbench.core import optional
from workbench.core.batch import Batch, count
from workbench.exporting.graph import copy_graph, initializers
from workbench.runtime.session import open_session

if TYPE_CHECKING:
    import onnx

_FOR = "quick looks"
_BIAS = 2
BIASED = frozenset({"Conv", "Gemm", "ConvTranspose"})
_SMALL = 1e-12
Weights = Mapping[str, tuple[np.ndarray, np.ndarray | None]]


class Repair:
    """See the module's docstring.

    Args:
        graph: The float graph, batch size free.
        layers: Layers that may change; each one node with one constant weight.
        repaired: Names of those whose outputs get their moments back (Conv or Gemm).
        inputs: A few samples like any [n, …].
        folder: Where a graph may be written.
        max_gain: No channel is scaled by more.
    """

    def __init__(
        self,
        graph: onnx.ModelProto,
        layers: Sequence[Layer],
        repaired: Sequence[str],
        inputs: Batch,
        folder: Path,
        max_gain: float,
    ) -> None:
        self._layers = {layer.name: layer for layer in layers}
        self._repaired = list(repaired)
        self._nodes = {node.name: node for node in graph.graph.node}
        self._base = initializers(graph)
        self._feeds = feeds_of(graph, inputs)
        for layer in layers:
            self._feed(layer, self._base[layer.initializer], self._bias(layer))
        channels = {name: self._channels(self._layers[name]) for name in repaired}
        for name, size in channels.items():
            self._want(name, np.zeros((1, size)), np.ones((1, size)), is_used=False)
        writer = _Writer(graph, count(inputs), max_gain)
        path = folder / "repair.onnx"
        path.write_bytes(writer.written(self._layers, self._repaired).SerializeToString())
        self._session = open_session(path)
        self._wanted = self._moments()

    def repaired(self, changed: Weights, names: Sequence[str]) -> Weights:
        """Returns weight and bias of each changed or repaired layer, moments given back.

        Args:
            changed: Weight and bias (None for the layer's own) by layer name.
            names: Layers whose outputs are repaired.
        """
        chosen = [name for name in names if name in self._wanted]
        before = {}
        for name, layer in self._layers.items():
            own = self._bias(layer)
            weight, bias = changed.get(name, (self._base[layer.initializer], own))
            before[name] = (weight, own if bias is None else bias)
            self._feed(layer, *before[name])
        for name, (mean, spread) in self._wanted.items():
            self._want(name, mean, spread, is_used=name in chosen)
        found = self._session.run_named(self._feeds) if chosen else {}
        fixed = {name: before[name] for name in changed}
        for name in chosen:
            gain, shift = found[f"{name}.gain"].ravel(), found[f"{name}.shift"].ravel()
            fixed[name] = self._scaled(self._layers[name], *before[name], gain, shift)
        return fixed

    def _scaled(
        self,
        layer: Layer,
        weight: np.ndarray,
        bias: np.ndarray | None,
        gain: np.ndarray,
        shift: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray]:
        start = 0.0 if bias is None else bias.ravel()
        shape = [1] * weight.ndim
        shape[0 if self._is_out_first(layer) else 1] = -1
        return np.asarray(weight * gain.reshape(shape), np.float32), start * gain + shift

    def _moments(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        found = self._session.run_named(self._feeds)
        spread = {n: np.sqrt(np.maximum(found[f"{n}.variance"], 0)) for n in self._repaired}
        return {name: (found[f"{name}.mean"], spread[name]) for name in self._repaired}

    def _feed(self, layer: Layer, weight: np.ndarray, bias: np.ndarray | None) -> None:
        self._feeds[f"{layer.name}.weight"] = weight
        if layer.op_type in BIASED:
            count = self._channels(layer)
            value = np.zeros(count) if bias is None else bias.ravel()
            self._feeds[f"{layer.name}.bias"] = np.asarray(value, np.float32)

    def _want(self, name: str, mean: np.ndarray, spread: np.ndarray, *, is_used: bool) -> None:
        self._feeds[f"{name}.wanted_mean"] = np.asarray(mean, np.float32)
        self._feeds[f"{name}.wanted_spread"] = np.asarray(spread, np.float32)
        self._feeds[f"{name}.is_used"] = np.full((1, 1), is_used, np.float32)

    def _bias(self, layer: Layer) -> np.ndarray | None:
        node = self._nodes[layer.node]
        return self._base.get(node.input[_BIAS]) if len(node.input) > _BIAS else None

    def _channels(self, layer: Layer) -> int:
        shape = self._base[layer.initializer].shape
        if layer.op_type == "ConvTranspose":
            groups = [item.i for item in self._nodes[layer.node].attribute if item.name == "group"]
            return int(shape[1] * (groups[0] if groups else 1))
        return int(shape[0 if self._is_out_first(layer) else 1])

    def _is_out_first(self, layer: Layer) -> bool:
        flags = [a.i for a in self._nodes[layer.node].attribute if a.name == "transB"]
        return layer.op_type == "Conv" or bool(flags and flags[0])


class _Writer:
    """Writes the graph whose weights are inputs and whose outputs are gains and shifts."""

    def __init__(self, graph: onnx.ModelProto, samples: int, max_gain: float) -> None:
        self._helper = optional.require("onnx.helper", for_=_FOR)
        self._arrays = optional.require("onnx.numpy_helper", for_=_FOR)
        self._graph = copy_graph(graph)
        self._nodes = {node.name: node for node in self._graph.graph.node}
        self._axes = {item.name: len(item.dims) - 2 for item in graph.graph.initializer}
        self._add("repair_weights", np.full((1, samples), 1 / samples, np.float32))
        self._add("repair_tiny", np.float32(_SMALL))
        self._add("repair_most", np.float32(max_gain))
        self._add("repair_one", np.float32(1))

    def written(self, layers: Mapping[str, Layer], repaired: Sequence[str]) -> onnx.ModelProto:
        """Returns the graph, its nodes in order."""
        axes = {name: self._axes[layer.initializer] for name, layer in layers.items()}
        for name, layer in layers.items():
            node = self._nodes[layer.node]
            node.input[layer.weight_place(node)] = self._input(f"{name}.weight")
            if layer.op_type in BIASED:
                del node.input[_BIAS:]
                node.input.append(self._input(f"{name}.bias"))
        for name in repaired:
            self._repair(name, self._nodes[layers[name].node], axes[name])
        nodes = [type(n).FromString(n.SerializeToString()) for n in ordered_nodes(self._graph)]
        del self._graph.graph.node[:]
        self._graph.graph.node.extend(nodes)
        used = {name for node in nodes for name in node.input}
        kept = [item for item in self._graph.graph.initializer if item.name in used]
        del self._graph.graph.initializer[:]
        self._graph.graph.initializer.extend(kept)
        return self._graph

    def _repair(self, name: str, node: Any, axes: int) -> None:
        raw, final = f"{name}.raw", node.output[0]
        node.output[0] = raw
        mean, second = self._mean_of(raw, f"{name}.mean", axes), self._square(name, raw, axes)
        variance = self._make("Sub", [second, self._make("Mul", [mean, mean])], f"{name}.variance")
        spread = self._make("Sqrt", [self._make("Max", [variance, "repair_tiny"])])
        ratio = self._make("Div", [self._input(f"{name}.wanted_spread"), spread])
        capped = self._make("Min", [ratio, "repair_most"])
        used = self._input(f"{name}.is_used")
        more = self._make("Mul", [self._make("Sub", [capped, "repair_one"]), used])
        gain = self._make("Add", [more, "repair_one"], f"{name}.gain")
        scaled = self._make("Mul", [capped, mean])
        moved = self._make("Sub", [self._input(f"{name}.wanted_mean"), scaled])
        shift = self._make("Mul", [moved, used], f"{name}.shift")
        told = map(self._helper.make_empty_tensor_value_info, (mean, variance, gain, shift))
        self._graph.graph.output.extend(told)
        if axes > 0:
            shape = self._add(f"{name}.shape", np.array([1, -1, *[1] * axes], np.int64))
            gain, shift = (self._make("Reshape", [item, shape]) for item in (gain, shift))
        self._make("Add", [self._make("Mul", [raw, gain]), shift], final)

    def _square(self, name: str, raw: str, axes: int) -> str:
        return self._mean_of(self._make("Mul", [raw, raw]), f"{name}.second", axes)

    def _mean_of(self, source: str, output: str, axes: int) -> str:
        if axes > 0:
            source = self._make("Flatten", [self._make("GlobalAveragePool", [source])])
        return self._make("MatMul", ["repair_weights", source], output)

    def _make(self, kind: str, inputs: list[str], output: str = "") -> str:
        output = output or f"repair_{len(self._graph.graph.node)}"
        self._graph.graph.node.append(self._helper.make_node(kind, inputs, [output]))
        return output

    def _input(self, name: str) -> str:
        kind = self._helper.np_dtype_to_tensor_dtype(np.dtype(np.float32))
        self._graph.graph.input.append(self._helper.make_tensor_value_info(name, kind, None))
        return name

    def _add(self, name: str, value: Any) -> str:
        self._graph.graph.initializer.append(self._arrays.from_array(np.asarray(value), name))
        return name
