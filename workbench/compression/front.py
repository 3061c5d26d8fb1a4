"""The Pareto front: variants that no other beats in both figures. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

T = TypeVar("T")


def pareto_front(items: Iterable[T], x: Callable[[T], float], y: Callable[[T], float]) -> list[T]:
    """Returns the items that none beats: smaller `x` and larger `y` are better; sorted by `x`.

    Of items equal in both figures the first is kept.
    """
    front: list[T] = []
    for item in sorted(items, key=lambda one: (x(one), -y(one))):
        if not front or y(item) > y(front[-1]):
            front.append(item)
    return front
