"""Dynamic int8: weights in int8, activations quantized as they come.

For matrix products, LSTMs, and tables of embeddings, whose rows are widened after the look-up.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from workbench.compression.method import GraphMethod
from workbench.core import optional
from workbench.core.config import Config
from workbench.core.lazy import lazy
from workbench.exporting.quiet import quiet

if TYPE_CHECKING:
    import onnx

    from workbench.compression.subject import Layer, Subject
    from workbench.compression.tools import Tools
    from workbench.exporting import graph as graphs
else:
    graphs = lazy("workbench.exporting.graph")

_FOR = "dynamic quantization"
_OPERATORS = ("MatMul", "Gemm", "LSTM", "Attention")
_EMBEDDING = "Gather"
_SPLIT_GEMM = "_MatMul"  # what ONNX Runtime calls the product of a Gemm that it splits
_FOLDER_NAME = "dynamic.onnx"
_FLOAT = 1


class QuantizeDynamicConfig(Config):
    """Options of `quantize_dynamic`."""

    bits: Literal[8] = Field(8, description="Bits of the weights")
    conv: bool = Field(
        False, description="Also convolutions; smaller, but several times slower (ConvInteger)"
    )
    per_channel: bool = Field(True, description="One weight scale for each output channel")
    reduce_range: bool | None = Field(
        None, description="7-bit weights, against saturation; by default where there is no VNNI"
    )


class QuantizeDynamic(GraphMethod):
    """See the module's docstring."""

    summary = "int8 weights of MatMul, Gemm, LSTM, embeddings; for text models and tables"
    requires = ("onnx", "onnxruntime")
    produces = "int8"
    Config = QuantizeDynamicConfig

    def supports(self, subject: Subject, config: QuantizeDynamicConfig) -> str | None:
        """Needs at least one operator that it quantizes."""
        found = {node.op_type for node in subject.graph.graph.node}
        found -= {_EMBEDDING}
        found |= {layer.op_type for layer in subject.layers if layer.node}
        wanted = _operators(config)
        if found.isdisjoint(wanted):
            return (
                f"the graph has none of {', '.join(wanted)}; "
                "for convolutions take quantize_static, or conv=true (smaller but slower)"
            )
        return None

    def change_graph(
        self,
        subject: Subject,
        layers: tuple[Layer, ...],
        config: QuantizeDynamicConfig,
        tools: Tools,
    ) -> onnx.ModelProto:
        """Replaces the operators of `layers` by their integer forms."""
        library = optional.require("onnxruntime.quantization", for_=_FOR)
        graph = graphs.strip(graphs.copy_graph(subject.graph))
        kept = _kept(graph, subject, layers)
        others = [name for node in kept for name in (node, f"{node}{_SPLIT_GEMM}")]
        reduce = tools.cpu.saturates if config.reduce_range is None else config.reduce_range
        with tempfile.TemporaryDirectory() as folder, quiet():
            path = Path(folder) / _FOLDER_NAME
            library.quantize_dynamic(
                graph,
                path,
                op_types_to_quantize=list(_operators(config)),
                per_channel=config.per_channel,
                reduce_range=reduce,
                weight_type=library.QuantType.QInt8,
                nodes_to_exclude=others,
                # Behind operators of other domains, type inference stops; all here is float.
                extra_options={"MatMulConstBOnly": True, "DefaultTensorType": _FLOAT},
            )
            return graphs.strip(graphs.load_graph(path))


def _operators(config: QuantizeDynamicConfig) -> tuple[str, ...]:
    operators = (*_OPERATORS, _EMBEDDING)
    return (*operators, "Conv") if config.conv else operators


def _kept(graph: onnx.ModelProto, subject: Subject, layers: tuple[Layer, ...]) -> list[str]:
    """Returns the nodes that stay: of layers not asked for, and look-ups that are no layer.

    Nodes without a name, which cannot be excluded, get one in place.
    """
    wanted = {layer.initializer for layer in layers if layer.initializer}
    weights = {layer.initializer for layer in subject.layers if layer.initializer}
    embeddings = {layer.node for layer in layers if layer.op_type == _EMBEDDING}
    kept = []
    for node in graph.graph.node:
        own = weights.intersection(node.input)
        is_look_up = node.op_type == _EMBEDDING and node.name not in embeddings
        if is_look_up or (own and not own & wanted):
            node.name = node.name or f"{node.output[0]}.n"
            kept.append(node.name)
    return kept


PLUGIN = QuantizeDynamic()
