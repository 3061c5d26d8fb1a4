"""What a treatment does to each layer: the weights it computes with, and the file's bytes.

Any method is understood by its result. Weight methods give weights. The graph that a graph method
writes is read back: constant branches are folded to the weights that the operator sees, quantized
inputs to their grid. Where an operator was replaced, the layer is changed alone and run whole.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.compression.apply import Group, change_graph_of, is_out_last, layer_weight
from workbench.compression.macs import count_macs, free_sizes, node_macs
from workbench.compression.method import GraphMethod, WeightMethod
from workbench.compression.moments import Moments, repaired
from workbench.compression.ordering import ordered_nodes
from workbench.compression.recipe import Step
from workbench.compression.replaced import factors_of, matrix_of, product_of
from workbench.compression.sizes import file_size, layer_sizes
from workbench.compression.subject import Layer, Subject
from workbench.compression.suffix import run_graph
from workbench.compression.tools import Tools, spread
from workbench.compression.treatments import Treatment
from workbench.core.errors import UnsupportedError
from workbench.exporting.graph import initializers, with_initializers

if TYPE_CHECKING:
    import onnx

_BIAS = 2
BATCH_NORM_GAIN, CORRECTION_GAIN = 100.0, 4.0
_UNUSED, _CORRECT = "unused_input", "correct"
_PASSED_OVER = frozenset({"Cast", "Identity"})


@dataclass(frozen=True)
class Grid:
    """The integers that a layer's input is rounded to."""

    scale: float
    zero: int
    low: int
    high: int

    def round(self, values: np.ndarray) -> np.ndarray:
        """Returns `values` on the grid."""
        whole = np.rint(values / np.float32(self.scale)) + np.float32(self.zero)
        np.clip(whole, self.low, self.high, out=whole)
        return np.asarray((whole - np.float32(self.zero)) * np.float32(self.scale), np.float32)


@dataclass(frozen=True)
class Effect:
    """What a treatment does to one layer.

    Attributes:
        weight: As the operator of the base graph would read it; None if the operator is another.
        bias: Likewise.
        grid: Of its input, None if that stays as it is.
        graph: The whole graph with this layer changed alone, where `weight` is None.
        near: Weight and bias that come close, where `weight` is None and there are such.
        bytes: What it adds to the file.
        macs: What it adds to the multiply-accumulates.
    """

    weight: np.ndarray | None = None
    bias: np.ndarray | None = None
    grid: Grid | None = None
    graph: onnx.ModelProto | None = None
    near: tuple[np.ndarray, np.ndarray] | None = None
    bytes: int = 0
    macs: int = 0


@dataclass
class Effects:
    """Finds effects; remembers changed weights and what layers had in the base graph.

    Args:
        subject: The model.
        tools: Data, CPU, calibration.
        moments: Of each layer's input by name, for those whose outputs are repaired.
        all_moments: Gives those of any Conv or Gemm, for layers whose operator was split in two.
        folder: For graphs that are run once.
    """

    subject: Subject
    tools: Tools
    moments: Mapping[str, Moments]
    all_moments: Callable[[], Mapping[str, Moments]]
    folder: Path
    shared_bytes: dict[str, int] = field(default_factory=dict)
    _weights: dict[tuple[str, str], tuple[np.ndarray, np.ndarray | None]] = field(
        default_factory=dict
    )
    _unseen_bytes: dict[tuple[tuple[Layer, ...], str], int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.base = initializers(self.subject.graph)
        self.nodes = {node.name: node for node in self.subject.graph.graph.node}
        self.layers = {la.name: la for la in self.subject.layers if la.initializer and la.node}
        names = {name: layer.node for name, layer in self.layers.items()}
        self._sizes = layer_sizes(self.subject.graph, names)
        self.size = file_size(self.subject.graph)
        sample = spread(self.tools.data.val, 1)
        self._free = free_sizes(self.subject.graph, sample)
        self.macs = count_macs(self.subject.graph, self._free)

    def of(self, chosen: Mapping[str, Treatment]) -> dict[str, Effect]:
        """Returns the effect on each layer of its own treatment; all share their graph steps."""
        weights = {
            name: self._changed_weight(layer, chosen.get(name, ()))
            for name, layer in self.layers.items()
        }
        steps = graph_steps(next(iter(chosen.values())))
        if not steps:
            return {name: Effect(*weights[name]) for name in chosen}
        start = self._patched(weights)
        graph = self._through(start, _plain(steps), tuple(self.layers.values()))
        lifted = self._lifted(graph)
        split = self._split(graph, [name for name in chosen if name not in lifted])
        if _plain(steps) != steps and any(n not in lifted and n not in split for n in chosen):
            graph = self._through(start, steps, tuple(self.layers.values()))
        sizes = layer_sizes(graph, {name: self.layers[name].node for name in lifted})
        if set(sizes) == set(self.layers):
            own = sum(sizes[name] - self._sizes[name] for name in sizes)
            self.shared_bytes[_shared(steps)] = file_size(graph) - self.size - own
        found = split
        for name in chosen:
            if name in lifted:
                found[name] = replace(lifted[name], bytes=sizes[name] - self._sizes[name])
            elif name not in split:
                found[name] = self._alone(start, steps, self.layers[name])
        return found

    def bytes_of_unseen(self, names: tuple[str, ...], steps: Treatment) -> int:
        """Returns what graph steps add to the file on layers that cannot be looked at alone."""
        layers = tuple(la for la in self.subject.layers if la.name in names and la.initializer)
        key = (layers, _joined(steps))
        if key not in self._unseen_bytes:
            self._unseen_bytes[key] = self._added(layers, steps) if layers and steps else 0
        return self._unseen_bytes[key]

    def _added(self, layers: tuple[Layer, ...], steps: Treatment) -> int:
        try:
            return file_size(self._through(self.subject, steps, layers)) - self.size
        except UnsupportedError:  # nothing is gained there, so the layers stay as they are
            return 0

    def bias_of(self, name: str) -> np.ndarray | None:
        """Returns the bias a layer has in the base graph."""
        node = self.nodes[self.layers[name].node]
        return self.base.get(node.input[_BIAS]) if len(node.input) > _BIAS else None

    def _changed_weight(
        self, layer: Layer, treatment: Treatment
    ) -> tuple[np.ndarray, np.ndarray | None]:
        steps = tuple(s for s in treatment if isinstance(s.plugin, WeightMethod))
        key = (layer.name, _joined(steps))
        if key not in self._weights:
            value = {layer.name: layer_weight(self.subject, layer)}
            for step in steps:
                value.update(step.plugin.change_weights(value, step.config))  # type: ignore[attr-defined]
            self._weights[key] = self._in_file(layer, value[layer.name], bool(steps))
        return self._weights[key]

    def _in_file(
        self, layer: Layer, value: np.ndarray, is_changed: bool
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Returns a changed weight and its bias as the file would hold them, repaired."""
        bias = self.bias_of(layer.name)
        before = self.base[layer.initializer]
        if not is_changed:
            return before, bias
        is_last = not layer.parameter and is_out_last(self.subject, layer)
        rule = self.subject.fold_map.rules.get(layer.initializer)
        if rule is not None and layer.parameter:
            value = rule.compute({**self.subject.state, layer.parameter: value})
        elif is_last:
            value = np.ascontiguousarray(value.T)
        value = np.asarray(value, before.dtype)
        if layer.name not in self.moments:
            return value, bias
        flip = is_last or value.shape != before.shape
        rows, old = (value.T, before.T) if flip else (value, before)
        cap = BATCH_NORM_GAIN if layer.parameter else CORRECTION_GAIN
        fixed, shifted = repaired(rows, bias, old, self.moments[layer.name], cap)
        return np.ascontiguousarray(fixed.T if flip else fixed), shifted

    def _patched(self, weights: Mapping[str, tuple[np.ndarray, np.ndarray | None]]) -> Subject:
        values = {}
        for name, (weight, bias) in weights.items():
            layer = self.layers[name]
            values[layer.initializer] = weight
            node = self.nodes[layer.node]
            if bias is not None and len(node.input) > _BIAS and node.input[_BIAS] in self.base:
                shape = self.base[node.input[_BIAS]].shape
                values[node.input[_BIAS]] = bias.reshape(shape)
        return replace(self.subject, graph=with_initializers(self.subject.graph, values))

    def _through(
        self, subject: Subject, steps: Treatment, layers: tuple[Layer, ...]
    ) -> onnx.ModelProto:
        return change_graph_of([Group(layers, steps)], subject, self.tools).graph

    def _alone(self, start: Subject, steps: Treatment, layer: Layer) -> Effect:
        changed = self._weights_of_one(start, layer)
        graph = self._through(changed, steps, (layer,))
        node, shape = self.nodes[layer.node], self.base[layer.initializer].shape
        return Effect(
            graph=graph,
            near=matrix_of(graph, node, shape, self.folder),
            bytes=file_size(graph) - self.size - self._shared_bytes_of(steps),
            macs=count_macs(graph, self._free) - self.macs,
        )

    def _weights_of_one(self, start: Subject, layer: Layer) -> Subject:
        """Returns the model with the changed weights of one layer only."""
        node = self.nodes[layer.node]
        names = [layer.initializer, *[n for n in node.input[_BIAS:] if n in self.base]]
        changed = initializers(start.graph)
        values = {name: changed[name] for name in names}
        return replace(self.subject, graph=with_initializers(self.subject.graph, values))

    def _shared_bytes_of(self, steps: Treatment) -> int:
        """Returns what the steps add once, however many layers they treat."""
        key = _shared(steps)
        if key not in self.shared_bytes:
            once = tuple(step for step in steps if not _is_local(step))
            graph = self._through(self.subject, once, ()) if once else self.subject.graph
            self.shared_bytes[key] = file_size(graph) - self.size
        return self.shared_bytes[key]

    def _split(self, graph: onnx.ModelProto, names: list[str]) -> dict[str, Effect]:
        """Returns the effects on layers that are two factors now, outputs repaired as one layer."""
        values, found = (initializers(graph), {}) if names else ({}, {})
        macs, before = (
            node_macs(item, self._free) if names else {} for item in (graph, self.subject.graph)
        )
        for name in names:
            node, old = self.nodes[self.layers[name].node], self.base[self.layers[name].initializer]
            pair = factors_of(graph, node, values)
            product = None if pair is None else product_of(pair, node, old.shape, values)
            if pair is None or product is None:
                continue
            weight, bias = self._repaired(name, product[0], old)
            sizes = layer_sizes(graph, {str(i): part.name for i, part in enumerate(pair)})
            found[name] = Effect(
                weight,
                bias if name in self.all_moments() else product[1],
                bytes=sum(sizes.values()) - self._sizes[name],
                macs=sum(macs.get(p.output[0], 0) for p in pair) - before.get(node.output[0], 0),
            )
        return found

    def _repaired(
        self, name: str, weight: np.ndarray, before: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray | None]:
        moments = self.all_moments().get(name)
        if moments is None:
            return weight, None
        flip = is_out_last(self.subject, self.layers[name])
        rows, old = (weight.T, before.T) if flip else (weight, before)
        fixed, bias = repaired(rows, self.bias_of(name), old, moments, CORRECTION_GAIN)
        return np.ascontiguousarray(fixed.T if flip else fixed), bias

    def _lifted(self, graph: onnx.ModelProto) -> dict[str, Effect]:
        makers = {name: node for node in graph.graph.node for name in node.output}
        found = {node.name: node for node in graph.graph.node if node.name in self.nodes}
        nodes: dict[str, tuple[Any, Grid | None]] = {}
        values = initializers(graph)
        for name, layer in self.layers.items():
            node = found.get(layer.node)
            if node is not None and node.op_type == self.nodes[layer.node].op_type:
                is_read, grid = _input_grid(node.input[layer.data_place(node)], makers, values)
                if is_read and _has_plain_weight(layer, node, values):
                    nodes[name] = (node, grid)
        read = {name: _weights_of(self.layers[name], node) for name, (node, _) in nodes.items()}
        tensors = [tensor for own in read.values() for tensor in own]
        constants = _evaluated(graph, tensors, values, self.folder)
        effects = {}
        for name, (_, grid) in nodes.items():
            parts = [constants.get(tensor) for tensor in read[name]]
            shape = self.base[self.layers[name].initializer].shape
            if parts and all(p is not None for p in parts) and parts[0].shape == shape:  # type: ignore[union-attr]
                weight, bias = parts[0], parts[1] if len(parts) > 1 else None
                effects[name] = Effect(weight, bias, grid)
        return effects


def shared_key(treatment: Treatment) -> str:
    """Returns the graph steps that treat layers together: files pay for them once."""
    return _shared(graph_steps(treatment))


def group_key(treatment: Treatment) -> str:
    """Returns all graph steps of a treatment: layers that share them are done in one graph."""
    return _joined(graph_steps(treatment))


def graph_steps(treatment: Treatment) -> Treatment:
    """Returns the steps that edit the graph."""
    return tuple(step for step in treatment if isinstance(step.plugin, GraphMethod))


def _plain(steps: Treatment) -> Treatment:
    """Returns the steps without the correction of outputs, which is done here layer by layer."""
    return tuple(
        Step(step.method, step.config.model_copy(update={_CORRECT: False}))
        if getattr(step.config, _CORRECT, False) is True
        else step
        for step in steps
    )


def _shared(steps: Treatment) -> str:
    """Returns the steps that are not done layer by layer; if there are none, all."""
    return _joined(tuple(step for step in steps if not _is_local(step)) or steps)


def _is_local(step: Step) -> bool:
    return isinstance(step.plugin, GraphMethod) and step.plugin.is_local


def _joined(steps: tuple[Step, ...]) -> str:
    return " + ".join(str(step) for step in steps)


def _weights_of(layer: Layer, node: Any) -> list[str]:
    """Returns the tensors that a layer reads besides its samples: weight, and bias if any."""
    source = layer.data_place(node)
    return [name for place, name in enumerate(node.input) if name and place != source]


def _has_plain_weight(layer: Layer, node: Any, values: Mapping[str, np.ndarray]) -> bool:
    """Returns whether the weight is no table of integers that are scaled after the look-up."""
    weight = values.get(node.input[layer.weight_place(node)])
    return weight is None or weight.dtype.kind == "f"


def _input_grid(
    name: str, makers: Mapping[str, Any], values: Mapping[str, np.ndarray]
) -> tuple[bool, Grid | None]:
    """Returns whether an activation is understood, and its grid if it is quantized."""
    node = makers.get(name)
    while node is not None and node.op_type in _PASSED_OVER:
        name = node.input[0]
        node = makers.get(name)
    if node is None or node.op_type != "DequantizeLinear":
        return True, None
    source = makers.get(node.input[0])
    if source is None or source.op_type != "QuantizeLinear":
        return source is not None, None
    scale = values.get(source.input[1])
    zero = values.get(source.input[2]) if len(source.input) > 2 else np.uint8(0)
    if scale is None or zero is None or scale.size != 1:
        return False, None
    limits = np.iinfo(np.asarray(zero).dtype)
    return True, Grid(float(scale), int(zero), int(limits.min), int(limits.max))


def _evaluated(
    graph: onnx.ModelProto, tensors: list[str], values: Mapping[str, np.ndarray], folder: Path
) -> dict[str, np.ndarray]:
    """Returns those of `tensors` that are constant, computed, as float32."""
    fixed = set(values)
    nodes = []
    for node in ordered_nodes(graph):
        if node.input and all(not n or n in fixed for n in node.input):
            fixed.update(node.output)
            nodes.append(node)
    computed = sorted({name for name in tensors if name in fixed and name not in values})
    found = {name: values[name] for name in tensors if name in values}
    if computed:
        found.update(_run_constant(graph, nodes, computed, folder))
    return {name: np.asarray(value, np.float32) for name, value in found.items()}


def _run_constant(
    graph: onnx.ModelProto, nodes: list[Any], wanted: list[str], folder: Path
) -> dict[str, np.ndarray]:
    part = type(graph)()
    part.ir_version = graph.ir_version
    part.opset_import.extend(graph.opset_import)
    part.graph.name = "constants"
    part.graph.node.extend(nodes)
    used = {name for node in nodes for name in node.input}
    part.graph.initializer.extend(i for i in graph.graph.initializer if i.name in used)
    for name in wanted:
        part.graph.output.add().name = name
    unused = part.graph.input.add()
    unused.CopyFrom(graph.graph.input[0])
    unused.name = _UNUSED
    unused.type.tensor_type.elem_type = 1
    del unused.type.tensor_type.shape.dim[:]
    return run_graph(part, {_UNUSED: np.zeros((), np.float32)}, folder)
