"""Answers of a recipe on a few samples without building its file: a look costs one pass.

The float graph is taken with the weights that each layer's treatment gives it, inputs rounded to
their grid.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.compression.effects import Effect, Grid
from workbench.compression.look_repair import BIASED, Repair
from workbench.compression.ordering import ordered_nodes
from workbench.compression.subject import Layer
from workbench.core import optional
from workbench.core.batch import Batch
from workbench.runtime.session import open_session

if TYPE_CHECKING:
    import onnx

_FOR = "quick looks"
_BIAS = 2
_UINT8, _INT8 = np.dtype(np.uint8), np.dtype(np.int8)


class LookRunner:
    """See the module's docstring.

    Args:
        graph: The float graph, batch size free.
        layers: Layers that may change; each one node with one constant weight.
        repair: Gives outputs their moments back; None where nothing is repaired.
        folder: Where graphs may be written.
    """

    def __init__(
        self, graph: onnx.ModelProto, layers: Sequence[Layer], repair: Repair | None, folder: Path
    ) -> None:
        self._graph = graph
        self._nodes = ordered_nodes(graph)
        self._layers = {layer.name: layer for layer in layers}
        self._repair = repair
        self._folder = folder

    def outputs(
        self, effects: Mapping[str, Effect], repaired: Sequence[str], inputs: Batch
    ) -> np.ndarray:
        """Returns the outputs [n, …] with these effects, each of which has a weight.

        Args:
            effects: By layer name.
            repaired: Names of layers whose outputs are repaired.
            inputs: Samples [n, …].
        """
        weights = {
            name: (effect.weight, effect.bias)
            for name, effect in effects.items()
            if effect.weight is not None
        }
        fixed = weights if self._repair is None else self._repair.repaired(weights, repaired)
        grids = {name: effect.grid for name, effect in effects.items() if effect.grid is not None}
        path = self._folder / "look.onnx"
        path.write_bytes(self._written(fixed, grids).SerializeToString())
        return open_session(path).run(inputs)

    def _written(
        self,
        weights: Mapping[str, tuple[np.ndarray, np.ndarray | None]],
        grids: Mapping[str, Grid],
    ) -> onnx.ModelProto:
        names = {layer.node: name for name, layer in self._layers.items()}
        part = _Part(self._graph)
        for node in self._nodes:
            name = names.get(node.name, "")
            source = part.rounded(node, grids[name]) if name in grids else ""
            own = part.add(node)
            if source:
                own.input[0] = source
            if name in weights:
                part.change(own, self._layers[name].weight_place(own), *weights[name])
        return part.finished()


class _Part:
    """A graph with the same ends, written node by node."""

    def __init__(self, graph: onnx.ModelProto) -> None:
        self._helper = optional.require("onnx.helper", for_=_FOR)
        self._arrays = optional.require("onnx.numpy_helper", for_=_FOR)
        self._source = graph.graph
        self._model = type(graph)()
        self._model.ir_version = graph.ir_version
        self._model.opset_import.extend(graph.opset_import)
        self._model.functions.extend(graph.functions)
        self._model.graph.name = "look"
        self._model.graph.input.extend(graph.graph.input)
        self._model.graph.output.extend(graph.graph.output)

    def add(self, node: Any) -> Any:
        """Appends a copy of a node and returns it."""
        own = self._model.graph.node.add()
        own.CopyFrom(node)
        return own

    def change(self, node: Any, place: int, weight: np.ndarray, bias: np.ndarray | None) -> None:
        """Gives a node another weight, which is its input `place`, and another bias."""
        node.input[place] = self._constant(f"{node.name}.look_weight", weight)
        if bias is not None and node.op_type in BIASED:
            del node.input[_BIAS:]
            node.input.append(self._constant(f"{node.name}.look_bias", bias.ravel()))

    def rounded(self, node: Any, grid: Grid) -> str:
        """Appends what rounds a node's input to its grid and returns the result's name."""
        scale = self._constant(f"{node.name}.look_scale", np.float32(grid.scale))
        dtype = _UINT8 if grid.low == 0 else _INT8
        zero = self._constant(f"{node.name}.look_zero", np.asarray(grid.zero, dtype))
        whole, back = f"{node.name}.look_whole", f"{node.name}.look_rounded"
        make = self._helper.make_node
        self.add(make("QuantizeLinear", [node.input[0], scale, zero], [whole]))
        self.add(make("DequantizeLinear", [whole, scale, zero], [back]))
        return back

    def finished(self) -> onnx.ModelProto:
        """Returns the graph with those constants of the first one that it still reads."""
        used = {name for node in self._model.graph.node for name in node.input}
        kept = (item for item in self._source.initializer if item.name in used)
        self._model.graph.initializer.extend(kept)
        return self._model

    def _constant(self, name: str, value: Any) -> str:
        item = self._arrays.from_array(np.ascontiguousarray(value).reshape(np.shape(value)), name)
        self._model.graph.initializer.append(item)
        return name
