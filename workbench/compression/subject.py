"""A model on its way through a recipe: graph, and the torch state it stands for. Never changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from workbench.compression.method import Format
from workbench.core import optional
from workbench.core.errors import InputError, did_you_mean
from workbench.core.ids import digest_bytes
from workbench.exporting.fold_map import FoldMap

if TYPE_CHECKING:
    import numpy as np
    import onnx

    from workbench.core.records import Description

_WEIGHT_INPUT = 1
_WEIGHTED = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})
_EMBEDDING = "Gather"
RECURRENT = frozenset({"LSTM", "GRU", "RNN"})
_RECURRENT_WEIGHTS = {"W": 1, "R": 2}
_FLOAT = 1  # onnx.TensorProto.FLOAT
_TABLE_RANK = 2


@dataclass(frozen=True)
class Layer:
    """One weighted layer, as the graph and as torch know it.

    Attributes:
        name: The torch name ("net.0") where there is a module, else the node's name.
        node: Name of its ONNX node; empty if it is not one node, or one of several weights of it
            (as in an LSTM), so that what the layer does cannot be looked at alone.
        initializer: Name of its weight in the graph; empty if it is not one initializer.
        parameter: Name of its weight in the torch state; empty without a module.
        op_type: ONNX operator, or the torch class where there is no single node.
    """

    name: str
    node: str
    initializer: str
    parameter: str
    op_type: str

    def weight_place(self, node: onnx.NodeProto) -> int:
        """Returns which input of its node is the weight."""
        return 0 if node.op_type == _EMBEDDING else _WEIGHT_INPUT

    def data_place(self, node: onnx.NodeProto) -> int:
        """Returns which input of its node comes from the samples."""
        return 1 if node.op_type == _EMBEDDING else 0


@dataclass(frozen=True)
class Subject:
    """See the module's docstring.

    Attributes:
        graph: The ONNX graph.
        description: What the model says of itself.
        layers: Its weighted layers, in the graph's order.
        origin: The graph as exported, before any weight changed.
        structure: Digest of `origin`; calibration ranges are remembered by it.
        load: Returns the torch module, the same one each time; None for an imported ONNX file. It
            is loaded when a step needs it: PyTorch alone takes longer to import than most steps
            on the file take.
        state: The torch tensors `graph` stands for; empty without a module.
        fold_map: How the graph's weights come from `state`.
        format: Of the weights.
        history: Of structural changes, JSON-able.
        parity: Largest difference between torch and file, before any graph edit.
        notes: What the user should know.
    """

    graph: onnx.ModelProto
    description: Description
    layers: tuple[Layer, ...]
    origin: onnx.ModelProto
    structure: str
    load: Callable[[], Any] | None = None
    state: Mapping[str, np.ndarray] = field(default_factory=dict)
    fold_map: FoldMap = field(default_factory=FoldMap)
    format: Format = "float32"
    history: tuple[Mapping[str, Any], ...] = ()
    parity: float | None = None
    notes: tuple[str, ...] = ()

    @property
    def has_module(self) -> bool:
        """Whether there is a torch module, loaded or not."""
        return self.load is not None

    @property
    def module(self) -> Any:
        """The torch module, loaded now if it was not; None for an imported ONNX file."""
        return None if self.load is None else self.load()

    @property
    def identity(self) -> str:
        """Digest of the graph with its weights."""
        return digest_bytes(self.graph.SerializeToString(deterministic=True))

    def with_notes(self, *notes: str) -> Subject:
        """Returns the subject with more notes; none twice."""
        return replace(self, notes=tuple(dict.fromkeys((*self.notes, *notes))))

    def select(self, names: Iterable[str]) -> tuple[Layer, ...]:
        """Returns the layers with these names (torch name or ONNX node name).

        Raises:
            InputError: Some are unknown, all named at once with the nearest.
        """
        by_name = {name: layer for layer in self.layers for name in (layer.node, layer.name)}
        wanted = list(names)
        known = [name for name in by_name if name]
        problems = [
            f"no layer '{name}'{did_you_mean(name, known)}" for name in wanted if name not in known
        ]
        if problems:
            raise InputError(
                "The recipe names layers that this model does not have.",
                problems=problems,
                hint=f"Layers: {', '.join(layer.name for layer in self.layers)}.",
            )
        return tuple(by_name[name] for name in wanted)


def find_layers(
    graph: onnx.ModelProto,
    weights: Sequence[tuple[str, str]] | None = None,
    fold_map: FoldMap | None = None,
) -> tuple[Layer, ...]:
    """Returns the weighted layers of a graph.

    Args:
        graph: The graph.
        weights: What `torch_weights` says of the module it came from, whose names they get then.
        fold_map: How the graph's weights come from the module's.
    """
    nodes = _weighted_nodes(graph)
    if weights is None:
        own = [Layer(n.name, n.name, w, "", n.op_type) for w, n in nodes.items()]
        return _ordered([*own, *_recurrent_layers(graph)], graph)
    fold_map = fold_map or FoldMap()
    layers = []
    for parameter, kind in weights:
        initializer = fold_map.initializer_of(parameter) or ""
        node = nodes.get(initializer)
        layers.append(
            Layer(
                name=parameter.removesuffix(".weight"),
                node="" if node is None else node.name,
                initializer="" if node is None else initializer,
                parameter=parameter,
                op_type=kind if node is None else node.op_type,
            )
        )
    order = {name: index for index, name in enumerate(nodes)}
    return tuple(sorted(layers, key=lambda layer: order.get(layer.initializer, len(order))))


def _ordered(layers: Sequence[Layer], graph: onnx.ModelProto) -> tuple[Layer, ...]:
    """Returns layers in the order in which the graph first reads their weights."""
    read = [name for node in graph.graph.node for name in node.input]
    return tuple(sorted(layers, key=lambda layer: read.index(layer.initializer)))


def _weighted_nodes(graph: onnx.ModelProto) -> dict[str, onnx.NodeProto]:
    names = {item.name for item in graph.graph.initializer}
    found: dict[str, onnx.NodeProto] = {}
    for node in graph.graph.node:
        if node.op_type in _WEIGHTED and len(node.input) > _WEIGHT_INPUT:
            weight = node.input[_WEIGHT_INPUT]
            if weight in names:
                found.setdefault(weight, node)
    for table, node in _embeddings(graph).items():
        found.setdefault(table, node)
    return found


def _embeddings(graph: onnx.ModelProto) -> dict[str, onnx.NodeProto]:
    """Returns the nodes that look up rows of a constant table of floats, by its name."""
    fixed = {item.name: item for item in graph.graph.initializer}
    found: dict[str, onnx.NodeProto] = {}
    for node in graph.graph.node:
        if node.op_type != _EMBEDDING or any(a.name == "axis" and a.i for a in node.attribute):
            continue
        table = fixed.get(node.input[0])
        if table is None or node.input[1] in fixed:
            continue
        if table.data_type == _FLOAT and len(table.dims) == _TABLE_RANK:
            found.setdefault(node.input[0], node)
    return found


def _recurrent_layers(graph: onnx.ModelProto) -> list[Layer]:
    """Returns the weights of recurrent operators: of inputs (W) and of the state before (R)."""
    fixed = {item.name for item in graph.graph.initializer}
    return [
        Layer(f"{node.name}.{letter}", "", node.input[place], "", node.op_type)
        for node in graph.graph.node
        if node.op_type in RECURRENT
        for letter, place in _RECURRENT_WEIGHTS.items()
        if node.input[place] in fixed
    ]


def torch_weights(module: Any) -> list[tuple[str, str]]:
    """Returns name and owner's class of each weight of a module that methods may change."""
    nn = optional.require("torch.nn", for_="compressing a PyTorch model")
    conv = optional.require("torch.nn.modules.conv", for_="compressing a PyTorch model")._ConvNd
    found = []
    for name, part in module.named_modules():
        prefix = f"{name}." if name else ""
        if isinstance(part, conv | nn.Linear | nn.Embedding):
            found.append((f"{prefix}weight", type(part).__name__))
        elif isinstance(part, nn.RNNBase):
            own = (key for key, value in part.named_parameters() if value.ndim > 1)
            found += [(f"{prefix}{key}", type(part).__name__) for key in own]
    return found
