"""Whether a process still works: it proves that by answering in time, not by being there.

Asked is its event loop, so that a long run of a model is no silence; how long that run has lasted
is part of the answer, and has a longer bound of its own.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

_EVERY_S = 1.0
_ASKED_TIMES = 5
_LEAST_START_S, _START_TIMES = 5.0, 3.0


@dataclass(frozen=True)
class Patience:
    """How long a worker is waited for before another takes its place; 0 waits for ever.

    Attributes:
        loop_s: For any answer.
        model_s: For one run of a model.
        leave_s: For its end, once it takes no questions any more.
        start_s: Until it has loaded its models. Another one in its place gets at most a few times
            as long as the first ones took.
    """

    loop_s: float = 5.0
    model_s: float = 120.0
    leave_s: float = 30.0
    start_s: float = 60.0

    @property
    def every_s(self) -> float:
        """Time between two questions, and the longest wait for each answer."""
        return min(_EVERY_S, self.loop_s / _ASKED_TIMES) or _EVERY_S

    def again_s(self, took_s: float) -> float:
        """Returns the longest wait for a replacement, when the first ones took so long to load."""
        return min(self.start_s, _LEAST_START_S + _START_TIMES * took_s)


@dataclass(frozen=True)
class Pulse:
    """What a process says of itself: which model has been running one batch, and how long."""

    model: str = ""
    busy_s: float = 0.0

    def to_line(self) -> bytes:
        """Returns it as it is sent."""
        return f"{self.busy_s:.3f} {self.model}".encode()

    @classmethod
    def of_line(cls, line: bytes) -> Pulse:
        """Reads what was sent.

        Raises:
            ValueError: It is no pulse.
        """
        seconds, _, model = line.decode().partition(" ")
        return cls(model, float(seconds))


async def until_hung(ask: Callable[[], Awaitable[Pulse]], patience: Patience) -> str:
    """Returns why a process counts as hung, once it does.

    Questions without an answer are counted, not seconds: if this process itself was stopped for a
    while, that is no fault of the other.

    Args:
        ask: Gets one answer. Raises ConnectionRefusedError if the process takes no questions,
            since it ends, and another OSError, a TimeoutError or ValueError if it does not answer.
        patience: How long to wait.
    """
    silent_s = ending_s = 0.0
    while True:
        began = time.monotonic()
        try:
            pulse = await ask()
            silent_s = ending_s = 0.0
            if 0 < patience.model_s < pulse.busy_s:
                return f"{pulse.model} has been running one batch for {pulse.busy_s:.0f} s"
        except ConnectionRefusedError:
            ending_s += patience.every_s
            if ending_s >= patience.leave_s:
                return f"it has not ended {ending_s:.0f} s after it stopped listening"
        except (OSError, TimeoutError, ValueError):
            silent_s += patience.every_s
            if 0 < patience.loop_s <= silent_s + 1e-9:
                return f"it answered nothing for {silent_s:.0f} s"
        await asyncio.sleep(max(0.0, patience.every_s - (time.monotonic() - began)))
