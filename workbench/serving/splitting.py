"""Which version answers a request that names none: by weight, and the same one for the same key.

A key is placed by weighted rendezvous hashing, so that changing one weight moves only the callers
who come to, or leave, that version (Thaler and Ravishankar 1998; weights as in Schindelhauer and
Schomaker 2005). Without a key, the golden ratio's multiples share requests out evenly at once.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from hashlib import blake2b
from itertools import accumulate

from workbench.serving.messages import Request
from workbench.serving.served import Served
from workbench.serving.traffic import CALLER, Traffic

_STEP = (math.sqrt(5) - 1) / 2
_SPAN = float(2**64)


class Split:
    """The versions behind one name with their weights.

    Args:
        traffic: The weights and the sticky key.
        line: The versions served under the name; those it does not weigh get nothing.
    """

    def __init__(self, traffic: Traffic, line: Sequence[Served]) -> None:
        found = [(name, _named(line, name), weight) for name, weight in traffic.weights.items()]
        parts = [(name, served, w) for name, served, w in found if served is not None and w]
        parts = parts or [(line[0].version, line[0], 1.0)]
        self._names = [name.encode() for name, _, _ in parts]
        self._served = [served for _, served, _ in parts]
        self._weights = [weight for _, _, weight in parts]
        total = sum(self._weights)
        self._edges = [edge / total for edge in accumulate(self._weights)]
        self._sticky = None if traffic.sticky is None else traffic.sticky.encode()
        self._place = random.random()

    def choose(self, request: Request) -> Served:
        """Returns the version to answer."""
        if len(self._served) == 1:
            return self._served[0]
        key = self._key(request)
        if key is not None:
            return self._keyed(key)
        self._place = place = (self._place + _STEP) % 1.0
        for served, edge in zip(self._served, self._edges, strict=True):
            if place < edge:
                return served
        return self._served[-1]

    def share(self, served: Served) -> float:
        """Returns a version's share of the requests, 0 to 1."""
        total = sum(self._weights)
        pairs = zip(self._served, self._weights, strict=True)
        return sum(weight for other, weight in pairs if other is served) / total

    def heaviest(self) -> Served:
        """Returns the version with the largest weight, the first of equals."""
        return self._served[self._weights.index(max(self._weights))]

    def _key(self, request: Request) -> bytes | None:
        if self._sticky is None:
            return None
        if self._sticky == CALLER.encode():
            return None if request.caller is None else request.caller.encode()
        return request.headers.get(self._sticky)

    def _keyed(self, key: bytes) -> Served:
        """Weighted rendezvous: the smallest -ln(u) / weight wins, u uniform by key and version."""
        best, chosen = math.inf, self._served[0]
        for name, served, weight in zip(self._names, self._served, self._weights, strict=True):
            digest = blake2b(key, digest_size=8, key=name[:64]).digest()
            score = -math.log((int.from_bytes(digest, "big") + 1) / (_SPAN + 1)) / weight
            if score < best:
                best, chosen = score, served
        return chosen


def _named(line: Sequence[Served], selector: str) -> Served | None:
    return next((s for s in line if selector in (s.version, s.source.alias)), None)
