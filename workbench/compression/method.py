"""What a compression method is. Three kinds, by what they change; a method is one file."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from workbench.core.plugins import Plugin
from workbench.core.signature import is_plain

if TYPE_CHECKING:
    import numpy as np
    import onnx

    from workbench.compression.subject import Layer, Subject
    from workbench.compression.tools import Tools

Stage = Literal["structure", "weights", "graph"]
Format = Literal["float32", "float16", "int8", "codebook", "blocks"]
Weights = Mapping[str, "np.ndarray"]

STAGES: tuple[Stage, ...] = ("structure", "weights", "graph")


class Method(Plugin):
    """Base of all methods; derive from one of the three below.

    The first field of `Config` is the recipe's positional value, the others are its knobs.

    Attributes:
        stage: What it changes; a recipe goes through the stages in this order.
        accepts: Formats of the weights it can work on.
        produces: Format of the weights afterwards; None if it stays as it was.
        trains: Whether it trains, so that nothing can be said of it before it was measured.
    """

    stage: ClassVar[Stage]
    accepts: ClassVar[frozenset[Format]] = frozenset({"float32"})
    produces: ClassVar[Format | None] = None
    trains: ClassVar[bool] = False

    def supports(self, subject: Subject, config: Any) -> str | None:
        """Returns why it cannot work on `subject`, or None."""
        return None


class StructureMethod(Method):
    """Changes the network's shape. The result is exported once; needs the torch module."""

    stage: ClassVar[Stage] = "structure"

    def supports(self, subject: Subject, config: Any) -> str | None:
        """Refuses a model that lives as ONNX only, or whose samples are not one fixed tensor."""
        if not subject.has_module:
            return f"'{self.key}' needs the PyTorch module; this model lives as ONNX only"
        if not is_plain(subject.description.signature.inputs):
            return f"'{self.key}' needs a model that takes one tensor of floats of a fixed size"
        return None

    @abstractmethod
    def change_structure(
        self, subject: Subject, layers: tuple[Layer, ...], config: Any, tools: Tools
    ) -> Restructured:
        """Returns a new module; `subject.module` stays as it is.

        Args:
            subject: The model.
            layers: Layers to act on.
            config: The method's checked `Config`.
            tools: Data, seeds, progress.
        """

    def kept(self, subject: Subject, config: Any) -> float | None:
        """Returns the share of the parameters that stays, found without training; None if unknown.

        A search then knows a network's size before it pays for it.

        Args:
            subject: The model.
            config: The method's checked `Config`, for all layers.
        """
        return None

    @abstractmethod
    def rebuild(self, module: Any, history: Mapping[str, Any], shape: tuple[int, ...]) -> Any:
        """Returns a copy of `module` with the shape in `history`; its weights are loaded later.

        Args:
            module: The module before the step.
            history: What `change_structure` recorded.
            shape: Of one input sample.
        """


class Restructured:
    """What a structure method returns.

    Args:
        module: The new module, in evaluation mode.
        history: JSON-able; with the old module it rebuilds the new one's shape.
        notes: What the user should know.
    """

    def __init__(
        self, module: Any, history: Mapping[str, Any], notes: tuple[str, ...] = ()
    ) -> None:
        self.module = module
        self.history = dict(history)
        self.notes = notes


class WeightMethod(Method):
    """Changes the values of weights, not their shapes. The file is patched, never re-exported."""

    stage: ClassVar[Stage] = "weights"

    @abstractmethod
    def change_weights(self, weights: Weights, config: Any) -> Weights:
        """Returns new values for (some of) the weights; a pure function.

        Args:
            weights: By layer name, float32, output channels first where torch has them so.
            config: The method's checked `Config`.
        """

    def notes(self, weights: Weights, config: Any) -> tuple[str, ...]:
        """Returns what the user should know of its work on these weights."""
        return ()


class GraphMethod(Method):
    """Edits the ONNX graph: other operators, other number formats.

    Attributes:
        is_local: Whether it edits each layer by itself, so that layers may differ in its options.
    """

    stage: ClassVar[Stage] = "graph"
    is_local: ClassVar[bool] = False

    @abstractmethod
    def change_graph(
        self, subject: Subject, layers: tuple[Layer, ...], config: Any, tools: Tools
    ) -> onnx.ModelProto | Edited:
        """Returns a new graph; `subject.graph` stays as it is.

        Args:
            subject: The model.
            layers: Layers to act on.
            config: The method's checked `Config`.
            tools: Calibration ranges, CPU, data.
        """


class Edited:
    """What a graph method returns where there is more to say than the graph.

    Args:
        graph: The new graph.
        notes: What the user should know.
        parts: By name of a layer that is now several: those, in order.
    """

    def __init__(
        self,
        graph: onnx.ModelProto,
        notes: tuple[str, ...] = (),
        parts: Mapping[str, tuple[Layer, ...]] | None = None,
    ) -> None:
        self.graph = graph
        self.notes = notes
        self.parts = dict(parts or {})
