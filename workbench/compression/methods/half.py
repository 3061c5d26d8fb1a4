"""Half precision: weights in 16 bits.

With compute=float32 they are stored in 16 bits and widened once, when the file is loaded: half the
bytes, the same speed. With compute=float16 the operators run in 16 bits, which pays on hardware
that has them; most CPUs widen around each operator and get slower.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from workbench.compression.method import GraphMethod
from workbench.core import optional
from workbench.core.config import Config
from workbench.core.lazy import lazy
from workbench.exporting.quiet import quiet

if TYPE_CHECKING:
    import numpy as np
    import onnx

    from workbench.compression.subject import Layer, Subject
    from workbench.compression.tools import Tools
    from workbench.exporting import graph as graphs
else:
    np = lazy("numpy")
    graphs = lazy("workbench.exporting.graph")

_FOR = "half precision"
_LARGEST = 65504.0


class HalfConfig(Config):
    """Options of `half`."""

    format: Literal["fp16"] = Field("fp16", description="Number format of the weights")
    compute: Literal["float32", "float16"] = Field(
        "float32", description="Widen weights when loading, or compute in 16 bits"
    )


class Half(GraphMethod):
    """See the module's docstring."""

    summary = "weights in 16 bits: half the bytes, nearly the same answers, no CPU speed-up"
    requires = ("onnx",)
    produces = "float16"
    Config = HalfConfig

    def supports(self, subject: Subject, config: HalfConfig) -> str | None:
        """Refuses weights that 16 bits cannot hold."""
        helper = optional.require("onnx.numpy_helper", for_=_FOR)
        names = {layer.initializer for layer in subject.layers}
        for item in subject.graph.graph.initializer:
            if item.name in names and np.abs(helper.to_array(item)).max(initial=0) > _LARGEST:
                return f"'{item.name}' has weights beyond {_LARGEST:.0f}, the largest fp16 number"
        return None

    def change_graph(
        self, subject: Subject, layers: tuple[Layer, ...], config: HalfConfig, tools: Tools
    ) -> onnx.ModelProto:
        """Stores the weights of `layers` in 16 bits."""
        if config.compute == "float16":
            wanted = {layer.node for layer in layers}
            others = [layer.node for layer in subject.layers if layer.node not in wanted]
            return _computing_in_half(subject.graph, others)
        return _stored_in_half(subject.graph, {layer.initializer for layer in layers})


def _stored_in_half(graph: onnx.ModelProto, names: set[str]) -> onnx.ModelProto:
    helper = optional.require("onnx.helper", for_=_FOR)
    arrays = optional.require("onnx.numpy_helper", for_=_FOR)
    twin, casts = graphs.copy_graph(graph), []
    for item in twin.graph.initializer:
        if item.name not in names:
            continue
        name, value = item.name, arrays.to_array(item)
        item.CopyFrom(arrays.from_array(value.astype(np.float16), f"{name}_fp16"))
        casts.append(helper.make_node("Cast", [item.name], [name], name=f"widen_{name}", to=1))
    nodes = [*casts, *twin.graph.node]
    del twin.graph.node[:]
    twin.graph.node.extend(nodes)
    return graphs.strip(twin)


def _computing_in_half(graph: onnx.ModelProto, others: list[str]) -> onnx.ModelProto:
    paths = list(sys.path)
    try:
        module = optional.require("onnxruntime.transformers.float16", for_=_FOR)
    finally:
        sys.path[:] = paths  # that package appends its own folder
    with quiet():
        converted: onnx.ModelProto = module.convert_float_to_float16(
            graphs.copy_graph(graph), keep_io_types=True, node_block_list=others
        )
    return graphs.strip(converted)


PLUGIN = Half()
