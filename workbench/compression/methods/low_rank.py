"""Low rank: a layer becomes two thin ones whose product is its best approximation, by SVD.

Matrices: truncated SVD, split evenly between the two (Eckart and Young 1936). Convolutions either
by channel, k×k to r channels and then 1×1 (Zhang et al. 2016, arXiv:1505.06798, without its data
term), or spatially, k×1 and then 1×k (Jaderberg et al. 2014, arXiv:1405.3866; the SVD is that of
Tai et al. 2016, arXiv:1511.06067). A layer stays whole where two would have more parameters. As
BatchNorm is folded in already, the outputs of what was split get back their mean and spread
(`compression.correction`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from workbench.compression.method import Edited, GraphMethod
from workbench.core.config import Config
from workbench.core.errors import UnsupportedError
from workbench.core.lazy import lazy

if TYPE_CHECKING:
    import numpy as np

    from workbench.compression import correction, edit, factors
    from workbench.compression.edit import Editor
    from workbench.compression.factors import Factors
    from workbench.compression.subject import Layer, Subject
    from workbench.compression.tools import Tools
else:
    np = lazy("numpy")
    correction = lazy("workbench.compression.correction")
    edit = lazy("workbench.compression.edit")
    factors = lazy("workbench.compression.factors")

_MATRICES = frozenset({"Gemm", "MatMul"})
_IMAGE_RANK = 4
_NEUTRAL = {"strides": 1, "dilations": 1, "pads": 0}


class LowRankConfig(Config):
    """Options of `low_rank`."""

    keep: Annotated[int, Field(ge=1, strict=True)] | Annotated[float, Field(gt=0, lt=1)] = Field(
        description="Rank of each layer (whole number), or share of its energy kept (0.9)",
        examples=[0.9],
    )
    conv: Literal["auto", "channel", "spatial"] = Field(
        "auto", description="Convolutions as k×k and 1×1, as k×1 and 1×k, or as what is smaller"
    )
    correct: bool = Field(
        True, description="Give outputs back the mean and spread they had on training samples"
    )


class LowRank(GraphMethod):
    """See the module's docstring."""

    summary = "splits layers into two thin ones by SVD; smaller, faster where layers are wide"
    requires = ("onnx",)
    is_local = True
    Config = LowRankConfig

    def supports(self, subject: Subject, config: LowRankConfig) -> str | None:
        """Needs a layer that is one node with a constant weight."""
        kinds = {layer.op_type for layer in subject.layers if layer.node}
        if kinds.isdisjoint(_MATRICES | {"Conv"}):
            return "the graph has no Conv, Gemm or MatMul with constant weights"
        return None

    def change_graph(
        self, subject: Subject, layers: tuple[Layer, ...], config: LowRankConfig, tools: Tools
    ) -> Edited:
        """Splits those of `layers` that get fewer parameters by it."""
        editor = edit.Editor(subject.graph)
        parts: dict[str, tuple[Layer, ...]] = {}
        notes: list[str] = []
        for layer in layers:
            tools.context.check()
            split, words = _split(editor, layer, config)
            notes.append(f"{layer.name}: {words}")
            if split:
                parts[layer.name] = split
        if not parts:
            raise UnsupportedError(
                f"low_rank:{config.keep} saves parameters in no layer.",
                problems=notes,
                hint="Ask for a lower rank, or keep less of the energy.",
            )
        graph = editor.graph
        if config.correct:
            seconds = tuple(pair[-1] for pair in parts.values())
            inputs = tools.train_inputs(correction.SAMPLES)
            graph = correction.corrected(subject.graph, graph, seconds, inputs, tools.context)
        return Edited(graph, tuple(notes), parts)


def _split(editor: Editor, layer: Layer, config: LowRankConfig) -> tuple[tuple[Layer, ...], str]:
    """Returns the layers that `layer` is now (none if it stays), and what was done, in words."""
    reason = _obstacle(editor, layer)
    if reason:
        return (), f"stays whole: {reason}"
    weight = editor.value(layer.initializer)
    found = _candidates(editor, layer, weight, config)
    chosen = factors.best(found, weight.size, config.keep)
    if chosen is None:
        least = min(item.parameters for item in found)
        return (), f"stays whole: {weight.size} parameters, and {least} if it were split"
    first, second = _halves(layer)
    _put(editor, layer, first, second, chosen)
    return (first, second), (
        f"rank {chosen.rank} of {chosen.full_rank}, {chosen.kind}: {weight.size} → "
        f"{chosen.parameters} parameters, {chosen.energy:.0%} of the energy"
    )


def _obstacle(editor: Editor, layer: Layer) -> str | None:
    if layer.op_type not in _MATRICES | {"Conv"} or not layer.node:
        return f"{layer.op_type} is not split"
    if editor.uses(layer.initializer) > 1:
        return "its weight is shared"
    attributes = edit.attributes_of(editor.node(layer))
    if attributes.get("transA"):
        return "its input is transposed"
    if attributes.get("group", 1) > 1:
        return "its channels are grouped"
    weight = editor.value(layer.initializer)
    if layer.op_type in _MATRICES and weight.ndim != 2:
        return f"its weight has {weight.ndim} dimensions"
    return None


def _candidates(
    editor: Editor, layer: Layer, weight: np.ndarray, config: LowRankConfig
) -> list[Factors]:
    if layer.op_type in _MATRICES:
        is_turned = edit.attributes_of(editor.node(layer)).get("transB")
        return [factors.of_matrix(weight.T if is_turned else weight, config.keep)]
    has_two_axes = weight.ndim == _IMAGE_RANK and min(weight.shape[2:]) > 1
    found = []
    if config.conv != "spatial" or not has_two_axes:
        found.append(factors.by_channel(weight, config.keep))
    if config.conv != "channel" and has_two_axes:
        found.append(factors.spatially(weight, config.keep))
    return found


def _halves(layer: Layer) -> tuple[Layer, Layer]:
    names = ("first", "second")
    kinds = ("MatMul", layer.op_type) if layer.op_type in _MATRICES else ("Conv", "Conv")
    first, second = (
        replace(
            layer,
            name=f"{layer.name}.{name}",
            node=f"{layer.node}_{name}",
            initializer=f"{layer.initializer}.{name}",
            parameter="",
            op_type=kind,
        )
        for name, kind in zip(names, kinds, strict=True)
    )
    return first, second


def _put(editor: Editor, layer: Layer, first: Layer, second: Layer, chosen: Factors) -> None:
    node = editor.node(layer)
    editor.add(first.initializer, chosen.first)
    editor.add(second.initializer, chosen.second)
    middle = f"{node.output[0]}.middle"
    before, after = _attributes(edit.attributes_of(node), layer.op_type, chosen)
    inputs = [middle, second.initializer, *node.input[2:]]
    editor.replace(
        node,
        [
            editor.make(
                first.op_type, [node.input[0], first.initializer], middle, first.node, **before
            ),
            editor.make(second.op_type, inputs, node.output[0], second.node, **after),
        ],
    )
    editor.drop_unused([layer.initializer])


def _attributes(
    attributes: dict[str, Any], op_type: str, chosen: Factors
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns the attributes of the first and of the second operator."""
    if op_type in _MATRICES:
        return {}, {name: value for name, value in attributes.items() if name != "transB"}
    if chosen.kind == "spatially":
        return _along(attributes, 0, chosen.first), _along(attributes, 1, chosen.second)
    return attributes, {"kernel_shape": list(chosen.second.shape[2:])}


def _along(attributes: dict[str, Any], axis: int, weight: np.ndarray) -> dict[str, Any]:
    """Returns a convolution's attributes for one axis, neutral along the other."""
    kept = dict(attributes)
    kept["kernel_shape"] = list(weight.shape[2:])
    for name, neutral in _NEUTRAL.items():
        if name in attributes:
            values = attributes[name]
            kept[name] = [v if i % 2 == axis else neutral for i, v in enumerate(values)]
    return kept


PLUGIN = LowRank()
