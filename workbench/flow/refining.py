"""Makes a study's estimates better in a thread, while nothing is measured.

Estimates asked for meanwhile are answered between two steps of a fraction of a second each. The
thread ends with the program, at its next step.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.core.errors import CancelledError
from workbench.store import NullContext

if TYPE_CHECKING:
    from workbench.compression.estimator import Estimator

_PATIENCE_S = 0.1


class Refining(NullContext):
    """See the module's docstring. Also the context of the refinement.

    Args:
        estimator: What gets better.
        is_measuring: Whether a variant is being measured just now.

    Attributes:
        error: What went wrong, if something did; `Study.refine` tries again, and raises.
    """

    def __init__(self, estimator: Estimator, is_measuring: Callable[[], bool]) -> None:
        super().__init__(Path())
        self._estimator, self._is_measuring = estimator, is_measuring
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self.error: Exception | None = None

    @property
    def is_running(self) -> bool:
        """Whether it is at work."""
        return self._thread is not None and self._thread.is_alive()

    def start(self) -> None:
        """Begins, unless it has begun already or there is nothing left to do."""
        if self._thread is None and not self._estimator.is_complete:
            self._thread = threading.Thread(target=self._run, name="refining")
            self._thread.start()

    def stop(self) -> None:
        """Ends it at its next step and waits for that; what was found is kept."""
        self._stopped.set()
        self.wait()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Returns whether it is done, after waiting for that."""
        if self._thread is not None:
            self._thread.join(timeout_s)
        return not self.is_running

    def event(self, kind: str, **data: Any) -> None:
        """Progress is not shown."""

    def check(self) -> None:
        """Waits while a variant is measured.

        Raises:
            CancelledError: It was stopped, or the program ends.
        """
        while not self._is_over():
            if not self._is_measuring():
                return
            self._stopped.wait(_PATIENCE_S)
        raise CancelledError("Refining was stopped.")

    def _is_over(self) -> bool:
        return self._stopped.is_set() or not threading.main_thread().is_alive()

    def _run(self) -> None:
        try:
            self._estimator.refine(self)
        except CancelledError:
            return
        except Exception as error:  # noqa: BLE001 (the border of a thread: kept for whoever asks)
            self.error = error
