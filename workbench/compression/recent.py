"""Remembers the last few values, so that recipes that begin alike share their beginning."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Recent(Generic[T]):
    """The last `count` values by key; the one not used for longest goes first."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._values: OrderedDict[str, T] = OrderedDict()

    def get(self, key: str, make: Callable[[], T]) -> T:
        """Returns the value of `key`, made if it is not remembered."""
        if key not in self._values:
            self._values[key] = make()
        self._values.move_to_end(key)
        while len(self._values) > self._count:
            self._values.popitem(last=False)
        return self._values[key]
