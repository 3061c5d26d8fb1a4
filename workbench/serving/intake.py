"""What came over connections and waits for its turn: a bounded piece of work each turn of the loop.

Bytes that ask for little are cheap to send and dear to answer: many small requests in one read
would keep the loop from everybody else.
"""

from __future__ import annotations

import asyncio
from collections import deque
from operator import methodcaller
from time import perf_counter
from typing import Protocol

from workbench.serving.isolation import each

STEPS = 4  # of one connection in a turn; a step is a head or a piece of a body
CONNECTIONS = 8  # in a turn
_TURN_S = 0.005
_STEP_BYTES = 16 * 1024
_HEAD_END = b"\r\n\r\n"


class Taker(Protocol):
    """A connection over which more came than was taken yet."""

    def take_more(self) -> None:
        """Takes a few steps, and asks for a further turn if something is left."""

    def abort(self) -> None:
        """Ends it now."""


_TAKE_MORE, _ABORT = methodcaller("take_more"), methodcaller("abort")


class Intake:
    """Gives connections their turns, the one that waited longest first."""

    def __init__(self) -> None:
        self._waiting: deque[Taker] = deque()
        self._is_due = False

    def add(self, taker: Taker) -> None:
        """Gives a connection a turn, not before the loop looked at all others."""
        self._waiting.append(taker)
        self._plan()

    def _plan(self) -> None:
        if not self._is_due:
            self._is_due = True
            asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        self._is_due = False
        ends = perf_counter() + _TURN_S
        for _ in range(min(CONNECTIONS, len(self._waiting))):
            each((self._waiting.popleft(),), _TAKE_MORE, _ABORT)
            if perf_counter() > ends:
                break
        if self._waiting:
            self._plan()


def step_end(data: bytes, at: int, body_left: int) -> int:
    """Returns where a step ends: with a head, with a body, or after some bytes of either.

    Args:
        data: What came.
        at: Where the step begins.
        body_left: Bytes that the body under way still needs; 0 if that is not known.
    """
    if body_left:
        return min(at + body_left, len(data))
    end = data.find(_HEAD_END, at, at + _STEP_BYTES)
    return min(at + _STEP_BYTES, len(data)) if end < 0 else end + len(_HEAD_END)
