"""Dynamic int8: weights in int8, activations quantized as they come; for MatMul, Gemm and LSTM."""

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

    summary = "int8 weights of MatMul, Gemm and LSTM; for text models and tables"
    requires = ("onnx", "onnxruntime")
    produces = "int8"
    Config = QuantizeDynamicConfig

    def supports(self, subject: Subject, config: QuantizeDynamicConfig) -> str | None:
        """Needs at least one operator that it quantizes."""
        found = {node.op_type for node in subject.graph.graph.node}
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
        wanted = {layer.node for layer in layers}
        kept = [layer.node for layer in subject.layers if layer.node not in wanted]
        others = [name for node in kept for name in (node, f"{node}{_SPLIT_GEMM}")]
        reduce = tools.cpu.saturates if config.reduce_range is None else config.reduce_range
        with tempfile.TemporaryDirectory() as folder, quiet():
            path = Path(folder) / _FOLDER_NAME
            library.quantize_dynamic(
                graphs.strip(graphs.copy_graph(subject.graph)),
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
    return (*_OPERATORS, "Conv") if config.conv else _OPERATORS


PLUGIN = QuantizeDynamic()
