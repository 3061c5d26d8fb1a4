"""Nodes of a graph in an order in which they can run; quantizers append theirs at the end."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import onnx


def ordered_nodes(graph: onnx.ModelProto) -> list[Any]:
    """Returns the nodes so that each comes after those it reads from; else in the file's order."""
    makers = {name: i for i, node in enumerate(graph.graph.node) for name in node.output}
    waits: list[int] = []
    followers: dict[int, list[int]] = {}
    for index, node in enumerate(graph.graph.node):
        sources = {makers[name] for name in _read(node) if name in makers}
        waits.append(len(sources))
        for source in sources:
            followers.setdefault(source, []).append(index)
    ready = deque(index for index, count in enumerate(waits) if not count)
    order = []
    while ready:
        index = ready.popleft()
        order.append(graph.graph.node[index])
        for follower in followers.get(index, ()):
            waits[follower] -= 1
            if not waits[follower]:
                ready.append(follower)
    return order


def _read(node: Any) -> set[str]:
    names = set(node.input)
    for attribute in node.attribute:
        for inner in attribute.g.node:
            names |= _read(inner)
    return names
