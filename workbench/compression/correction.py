"""Corrects the layers of an ONNX file whose weights changed, where no torch module can be asked.

BatchNorm is folded there, so each output channel gets back the mean and spread it had on training
samples: weight' = weight · σ/σ', bias' from the means (bias correction of Nagel et al. 2019,
arXiv:1906.04721, with the spread matched too). Layers in order, so later ones see the repair.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from workbench.compression.calibration import observe_values
from workbench.compression.subject import Layer
from workbench.core import optional
from workbench.core.batch import Batch
from workbench.exporting.graph import copy_graph, initializers

if TYPE_CHECKING:
    import onnx

    from workbench.store import Context

_FOR = "correcting a compressed ONNX file"
SAMPLES = 128
_CONVOLUTIONS = frozenset({"Conv"})
_MAX_GAIN = 4.0
_BIAS_INPUT = 2


def corrected(
    before: onnx.ModelProto,
    after: onnx.ModelProto,
    layers: tuple[Layer, ...],
    inputs: Batch,
    context: Context,
    *,
    match_spread: bool = True,
) -> onnx.ModelProto:
    """Returns `after` with the outputs of `layers` corrected to the moments they have in `before`.

    Args:
        before: The original graph.
        after: The graph with changed weights; not changed.
        layers: Layers whose weights changed, in graph order.
        inputs: Training inputs [N, …].
        context: Stop and pause.
        match_spread: Whether weights are scaled too; else only the means return, in the biases.
    """
    twin = copy_graph(after)
    usable = correctable(layers)
    if not usable:
        return twin
    outputs = {node.name: node.output[0] for node in twin.graph.node}
    names = [outputs[layer.node] for layer in usable]
    wanted = _moments(before, names, inputs)
    for layer, name in zip(usable, names, strict=True):
        context.check()
        mean, spread = _moments(twin, [name], inputs)[name]
        goal = wanted[name] if match_spread else (wanted[name][0], spread)
        _repair(twin, layer, (mean, spread), goal)
    return twin


def correctable(layers: tuple[Layer, ...]) -> list[Layer]:
    """Returns the layers whose outputs have channels and a bias that can take up a shift."""
    return [layer for layer in layers if layer.op_type in _CONVOLUTIONS | {"Gemm"}]


def _moments(
    graph: onnx.ModelProto, names: list[str], inputs: Batch
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Returns mean and standard deviation of each channel (axis 1) of each tensor."""
    totals: dict[str, list[np.ndarray]] = {name: [] for name in names}
    with tempfile.TemporaryDirectory() as folder:
        for values in observe_values(graph, names, inputs, Path(folder)):
            for name, value in zip(names, values.values(), strict=True):
                flat = np.moveaxis(value, 1, 0).reshape(value.shape[1], -1).astype(np.float64)
                totals[name].append(
                    np.stack([flat.sum(1), (flat**2).sum(1), np.full(len(flat), flat.shape[1])])
                )
    found = {}
    for name, parts in totals.items():
        first, second, count = np.sum(parts, axis=0)
        mean = first / count
        found[name] = (mean, np.sqrt(np.maximum(second / count - mean**2, 0.0)))
    return found


def _repair(
    graph: onnx.ModelProto,
    layer: Layer,
    got: tuple[np.ndarray, np.ndarray],
    wanted: tuple[np.ndarray, np.ndarray],
) -> None:
    node = next(node for node in graph.graph.node if node.name == layer.node)
    values = initializers(graph)
    weight = values[layer.initializer]
    has_bias = len(node.input) > _BIAS_INPUT and node.input[_BIAS_INPUT] in values
    bias = values[node.input[_BIAS_INPUT]] if has_bias else np.zeros(len(got[0]), np.float32)
    gain = np.where(got[1] > 0, wanted[1] / np.where(got[1] > 0, got[1], 1.0), 1.0)
    gain = np.clip(gain, 1.0 / _MAX_GAIN, _MAX_GAIN)
    # Output of the changed layer is gain·(Wx + b) + shift, with the wanted mean.
    shift = wanted[0] - gain * got[0]
    axis = 0 if layer.op_type in _CONVOLUTIONS or _is_transposed(node) else 1
    shape = [1] * weight.ndim
    shape[axis] = -1
    _set(graph, layer.initializer, weight * gain.reshape(shape))
    fresh = (gain * bias.ravel() + shift).astype(np.float32)
    if has_bias:
        _set(graph, node.input[_BIAS_INPUT], fresh.reshape(bias.shape))
        return
    name = f"{layer.initializer}_bias_correction"
    helper = optional.require("onnx.numpy_helper", for_=_FOR)
    graph.graph.initializer.append(helper.from_array(fresh, name))
    if len(node.input) > _BIAS_INPUT:
        node.input[_BIAS_INPUT] = name
    else:
        node.input.append(name)


def _is_transposed(node: onnx.NodeProto) -> bool:
    return any(item.name == "transB" and item.i for item in node.attribute)


def _set(graph: onnx.ModelProto, name: str, value: np.ndarray) -> None:
    helper = optional.require("onnx.numpy_helper", for_=_FOR)
    for item in graph.graph.initializer:
        if item.name == name:
            item.CopyFrom(helper.from_array(np.asarray(value, np.float32), name))
