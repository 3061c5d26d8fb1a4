"""The tensors of a batch, as a graph takes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.core.batch import Batch, Tensor, named

if TYPE_CHECKING:
    import onnx


def feeds_of(graph: onnx.ModelProto, batch: Batch) -> dict[str, Tensor]:
    """Returns the tensors of `batch` by the graph's inputs; defaults of old files are none.

    Raises:
        InputError: The graph takes others.
    """
    fixed = {item.name for item in graph.graph.initializer}
    return named(batch, [item.name for item in graph.graph.input if item.name not in fixed])
