"""A run's context with a deadline."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from workbench.core.errors import CancelledError
from workbench.store import RunContext


class OutOfTimeError(CancelledError):
    """The wall time that was given is over."""

    code = "out_of_time"


class TimedContext:
    """A run's context whose `check` also obeys a deadline.

    Args:
        run: The run's own context.
        until: When time is up, on the monotonic clock.
    """

    def __init__(self, run: RunContext, until: float) -> None:
        self._run = run
        self.until = until

    @property
    def directory(self) -> Path:
        """The run's folder."""
        return self._run.directory

    def check(self) -> None:
        """Obeys stop, pause and the deadline.

        Raises:
            CancelledError: The run was asked to stop.
            OutOfTimeError: Time is up.
        """
        self._run.check()
        if time.monotonic() > self.until:
            raise OutOfTimeError("The time for this is over.")

    def left(self) -> float:
        """Returns the seconds until time is up; negative afterwards."""
        return self.until - time.monotonic()

    def tell(self, kind: str, data: Mapping[str, Any]) -> None:
        """Takes an event of a measurement: only the occasion to check."""
        self.check()

    def log(self, step: int, **metrics: float) -> None:
        """Nothing: the curves of a fine-tuning are not the search's."""

    def event(self, kind: str, **data: Any) -> None:
        """Nothing, likewise."""

    def progress(self, done: int, total: int, note: str = "") -> None:
        """Nothing, likewise: the search shows its own."""

    def set_metrics(self, **metrics: float) -> None:
        """Nothing, likewise."""

    def output(self, name: str, artifact: Any) -> None:
        """Nothing, likewise."""
