"""The open connections of an endpoint, of which there are only so many.

Whoever showed a valid token keeps its place. When all places are taken, a new connection gets that
of the stranger (no valid token was sent over it) that has asked for nothing the longest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import Generic, Protocol, TypeVar

_LOOKED_AT = 32


class Guest(Protocol):
    """A connection, as far as its place goes."""

    @property
    def is_answering(self) -> bool:
        """Whether a request was taken and not yet answered."""

    def abort(self) -> None:
        """Ends it now."""


G = TypeVar("G", bound=Guest)


class Places(Generic[G]):
    """Who is there. Taking a place costs the same however many there are.

    Args:
        most: How many there may be.
        share: How many may show the same token; None is all.
    """

    def __init__(self, most: int, share: int | None = None) -> None:
        self.most = most
        self._share = most if share is None else share
        self._known: dict[G, str] = {}
        self._held: Counter[str] = Counter()
        self._all: set[G] = set()
        self._strangers: dict[G, None] = {}  # the idlest first

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Iterator[G]:
        return iter(tuple(self._all))

    def take(self, guest: G) -> bool:
        """Gives a place to a new connection; returns whether there was one.

        Who came before keeps its place, and is told again.
        """
        if guest in self._all:
            return len(self._all) <= self.most
        is_full = len(self._all) >= self.most and not self.give_way()
        self._all.add(guest)
        self._strangers[guest] = None
        return not is_full

    def seen(self, guest: G) -> None:
        """Notes that a stranger asks for something."""
        if guest in self._strangers:
            del self._strangers[guest]
            self._strangers[guest] = None

    def know(self, guest: G, token: str) -> bool:
        """Notes that a valid token came over a connection; returns whether it may hold one more."""
        if self._held[token] >= self._share:
            return False
        self._held[token] += 1
        self._known[guest] = token
        self._strangers.pop(guest, None)
        return True

    def leave(self, guest: G) -> None:
        """Frees a place."""
        self._all.discard(guest)
        self._strangers.pop(guest, None)
        token = self._known.pop(guest, None)
        if token is not None:
            self._held[token] -= 1
            if not self._held[token]:
                del self._held[token]

    def give_way(self) -> bool:
        """Ends the idlest stranger; returns whether there was one."""
        first = next(iter(self._strangers), None)
        if first is None:
            return False
        idle = (one for one in islice(self._strangers, _LOOKED_AT) if not one.is_answering)
        gone = next(idle, first)
        self.leave(gone)
        gone.abort()
        return True
