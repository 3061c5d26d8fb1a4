"""Static int8: weights and activations, in QDQ form, with ranges calibrated on training samples.

Weights symmetric per output channel, activations asymmetric per tensor (Jacob et al. 2018,
arXiv:1712.05877), written by ONNX Runtime's QDQ quantizer. With bias correction, each layer's bias
takes up the shift of its mean output (Nagel et al. 2019, arXiv:1906.04721, §4.2, on samples).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from workbench.compression.method import Edited, GraphMethod
from workbench.core import optional
from workbench.core.config import Config
from workbench.core.lazy import lazy

if TYPE_CHECKING:
    import numpy as np
    import onnx

    from workbench.compression import compact, correction
    from workbench.compression.subject import Layer, Subject
    from workbench.compression.tools import Ranges, Tools
    from workbench.exporting import graph as graphs
else:
    np = lazy("numpy")
    compact = lazy("workbench.compression.compact")
    correction = lazy("workbench.compression.correction")
    graphs = lazy("workbench.exporting.graph")

_FOR = "static quantization"
_OPERATORS = (
    "Conv", "ConvTranspose", "Gemm", "MatMul", "Add", "Mul", "Relu", "Clip", "MaxPool",
    "AveragePool", "GlobalAveragePool", "Concat", "Reshape", "Flatten", "Transpose", "Squeeze",
    "Unsqueeze", "Sigmoid", "LeakyRelu", "Split", "Slice", "Pad",
)  # fmt: skip
_LEFT = frozenset({"Gather", "LSTM", "GRU", "RNN"})
_OLDEST_OPSET = 13
_FLOAT = 1
_WITH_BIAS = frozenset({"Conv", "Gemm"})
_WEIGHTED = frozenset({"Conv", "Gemm", "MatMul"})
_MOST, _MOST_REDUCED = 127, 64
_FLOAT = 1  # onnx.TensorProto.FLOAT


class QuantizeStaticConfig(Config):
    """Options of `quantize_static`."""

    bits: Literal[8] = Field(8, description="Bits of weights and activations")
    calibrate: Literal["minmax", "percentile"] = Field(
        "minmax", description="Activation ranges: extremes, or the central percentile"
    )
    percentile: float = Field(99.99, gt=90, lt=100, description="For calibrate=percentile")
    samples: int = Field(256, ge=8, le=100_000, description="Training samples for the ranges")
    per_channel: bool = Field(True, description="One weight scale for each output channel")
    reduce_range: bool | None = Field(
        None, description="7-bit weights, against saturation; by default where there is no VNNI"
    )
    own_ranges: bool = Field(
        False, description="Calibrate on the changed weights, not once for all variants"
    )
    bias_correction: bool = Field(
        False, description="Give each channel back the mean that rounding its weights moved"
    )


class QuantizeStatic(GraphMethod):
    """See the module's docstring."""

    summary = "int8 weights and activations; the method for convolutional networks"
    requires = ("onnx", "onnxruntime")
    produces = "int8"
    Config = QuantizeStaticConfig

    def supports(self, subject: Subject, config: QuantizeStaticConfig) -> str | None:
        """Needs weighted operators of opset 13 or newer."""
        version = opset(subject.graph)
        if version < _OLDEST_OPSET:
            return f"per-channel int8 needs opset {_OLDEST_OPSET} or newer; the file has {version}"
        if not any(layer.node and layer.op_type not in _LEFT for layer in subject.layers):
            return "the graph has no Conv, Gemm or MatMul with constant weights"
        return None

    def change_graph(
        self,
        subject: Subject,
        layers: tuple[Layer, ...],
        config: QuantizeStaticConfig,
        tools: Tools,
    ) -> onnx.ModelProto | Edited:
        """Writes QuantizeLinear/DequantizeLinear around the operators of `layers`."""
        graph = subject.graph if config.own_ranges else subject.origin
        ranges = tools.calibrator.ranges(
            graph,
            subject.identity if config.own_ranges else subject.structure,
            kind=config.calibrate,
            percentile=config.percentile,
            samples=config.samples,
        )
        reduce = tools.cpu.saturates if config.reduce_range is None else config.reduce_range
        wanted = {layer.node for layer in layers}
        others = [layer.node for layer in subject.layers if layer.node not in wanted]
        changed = subject.graph
        if config.bias_correction:
            changed = _with_corrected_biases(changed, layers, config.per_channel, reduce, tools)
        quantized = quantize(
            changed,
            ranges,
            per_channel=config.per_channel,
            reduce_range=reduce,
            exclude=others,
        )
        notes = _notes(layers)
        return Edited(quantized, notes) if notes else quantized


def _notes(layers: tuple[Layer, ...]) -> tuple[str, ...]:
    left = [la.name for la in layers if la.op_type in _LEFT and la.initializer]
    if not left:
        return ()
    words = f"quantize_static leaves {', '.join(left)} in float: embeddings and recurrent weights"
    return (f"{words} are for quantize_dynamic or quantize_weights",)


def quantize(
    graph: onnx.ModelProto,
    ranges: Ranges,
    *,
    per_channel: bool = True,
    reduce_range: bool = False,
    exclude: list[str] | None = None,
) -> onnx.ModelProto:
    """Returns `graph` in QDQ form, with known activation ranges (name → low, high)."""
    quantizer = optional.require("onnxruntime.quantization.qdq_quantizer", for_=_FOR)
    kinds = optional.require("onnxruntime.quantization", for_=_FOR).QuantType
    prepared = _prepared(graph, ranges)
    constant = _name_constant_nodes(prepared)
    scales = _scales(prepared, {*(exclude or []), *constant}, reduce_range) if per_channel else {}
    writer = quantizer.QDQQuantizer(
        prepared,
        per_channel=per_channel,
        reduce_range=reduce_range,
        weight_qType=kinds.QInt8,
        activation_qType=kinds.QUInt8,
        tensors_range=_tensor_data(ranges),
        nodes_to_quantize=[],
        nodes_to_exclude=[*(exclude or []), *constant, *_answer_scaling(prepared)],
        op_types_to_quantize=list(_OPERATORS),
        extra_options={"TensorQuantOverrides": scales} if scales else {},
    )
    writer.quantize_model()
    return compact.compact_qdq(graphs.strip(writer.model.model))


def _scales(
    graph: onnx.ModelProto, excluded: set[str], reduce_range: bool
) -> dict[str, list[dict[str, Any]]]:
    """Returns each channel's scale by weight, the quantizer's own; it takes them one by one."""
    to_array = optional.require("onnx.numpy_helper", for_=_FOR).to_array
    stored, zero = {tensor.name: tensor for tensor in graph.graph.initializer}, np.array(0, np.int8)
    axes: dict[str, set[int]] = {}
    for node in graph.graph.node:
        if node.op_type in _WEIGHTED and node.name not in excluded and len(node.input) > 1:
            is_turned = any(item.name == "transB" and item.i for item in node.attribute)
            axis = 0 if node.op_type == "Conv" or is_turned else 1
            axes.setdefault(node.input[1], set()).add(axis)
    found = {}
    for name, wanted in axes.items():
        tensor = stored.get(name)
        if tensor is None or tensor.data_type != _FLOAT or len(tensor.dims) < 2 or len(wanted) > 1:
            continue
        value, axis = to_array(tensor), min(wanted)  # one at a time in memory
        others = tuple(i for i in range(value.ndim) if i != axis)
        limit = np.maximum(value.max(axis=others), -value.min(axis=others))
        scale = 2 * limit.astype(np.float64) / (2 * (_MOST_REDUCED if reduce_range else _MOST))
        scale = np.where(scale < np.finfo(np.float32).tiny, 1.0, scale).astype(np.float32)
        found[name] = [{"scale": item, "zero_point": zero, "axis": axis} for item in scale]
    return found


def _with_corrected_biases(
    graph: onnx.ModelProto,
    layers: tuple[Layer, ...],
    per_channel: bool,
    reduce_range: bool,
    tools: Tools,
) -> onnx.ModelProto:
    """Returns `graph` with rounded weights, which the quantizer leaves alone, and new biases."""
    nodes = {node.name: node for node in graph.graph.node}
    values = graphs.initializers(graph)
    chosen = tuple(layer for layer in layers if layer.op_type in _WITH_BIAS and layer.node)
    for layer in chosen:
        is_turned = any(item.name == "transB" and item.i for item in nodes[layer.node].attribute)
        axis = 0 if layer.op_type == "Conv" or is_turned else 1
        weight = values[layer.initializer]
        values[layer.initializer] = _rounded(weight, axis if per_channel else None, reduce_range)
    weights = {layer.initializer: values[layer.initializer] for layer in chosen}
    return correction.corrected(
        graph,
        graphs.with_initializers(graph, weights),
        chosen,
        tools.train_inputs(correction.SAMPLES),
        tools.context,
        match_spread=False,
    )


def _rounded(weight: np.ndarray, axis: int | None, reduce_range: bool) -> np.ndarray:
    """Returns float32 values on the symmetric int8 grid; one scale along `axis`, or one in all."""
    others = tuple(i for i in range(weight.ndim) if i != axis)
    limit = np.abs(weight).max(axis=others, keepdims=True)
    scale = np.where(limit > 0, limit, 1.0) / (_MOST_REDUCED if reduce_range else _MOST)
    return np.asarray(np.rint(weight / scale) * scale, np.float32)


def opset(graph: onnx.ModelProto) -> int:
    """Returns the version of the standard operators that `graph` uses."""
    return max((o.version for o in graph.opset_import if o.domain in {"", "ai.onnx"}), default=0)


def _name_constant_nodes(graph: onnx.ModelProto) -> list[str]:
    """Names, in place, the nodes that compute weights when the file is loaded; returns the names.

    They have no activations to quantize: other methods' packed weights are widened there.
    """
    constant = {item.name for item in graph.graph.initializer}
    names = []
    for node in graph.graph.node:
        if node.input and constant.issuperset(filter(None, node.input)):
            constant.update(node.output)
            node.name = node.name or f"{node.output[0]}.n"
            names.append(node.name)
    return names


def _answer_scaling(graph: onnx.ModelProto) -> list[str]:
    """Returns the last nodes, those that bring several values to units of their own.

    One scale for all would leave nothing of the values whose unit is small.
    """
    makers = {name: node for node in graph.graph.node for name in node.output}
    sizes = {item.name: math.prod(item.dims) for item in graph.graph.initializer}
    found = []
    for output in graph.graph.output:
        node = makers.get(output.name)
        while node is not None and node.op_type in {"Mul", "Add"}:
            constants = [name for name in node.input if sizes.get(name, 0) > 1]
            others = [name for name in node.input if name not in sizes]
            if not constants or len(others) != 1:
                break
            found.append(node.name)
            node = makers.get(others[0])
    return found


def _prepared(graph: onnx.ModelProto, ranges: Ranges) -> onnx.ModelProto:
    """Returns a copy with the type of each float tensor: inference stops at MatMulNBits."""
    inference = optional.require("onnx.shape_inference", for_=_FOR)
    helper = optional.require("onnx.helper", for_=_FOR)
    twin: onnx.ModelProto = inference.infer_shapes(graphs.strip(graphs.copy_graph(graph)))
    part = twin.graph
    known = {item.name for item in (*part.value_info, *part.input, *part.output)}
    made = {name for node in part.node for name in node.output}
    for name in ranges:
        if name in made - known:
            part.value_info.append(helper.make_tensor_value_info(name, _FLOAT, None))
    mark = twin.metadata_props.add()
    mark.key, mark.value = "onnx.infer", "onnxruntime.quant"
    return twin


def _tensor_data(ranges: Ranges) -> dict[str, Any]:
    kind = optional.require("onnxruntime.quantization.calibrate", for_=_FOR).TensorData
    return {
        name: kind(lowest=np.array(low, np.float32), highest=np.array(high, np.float32))
        for name, (low, high) in ranges.items()
    }


PLUGIN = QuantizeStatic()
