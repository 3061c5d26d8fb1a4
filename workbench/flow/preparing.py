"""Makes a search ready: beside the first measurements where those run in another process."""

from __future__ import annotations

import threading
from collections.abc import Callable

from workbench.compression.search import Search


class Preparing:
    """Makes a `Search` in a thread of its own, or at once.

    Args:
        make: Returns the search, ready to propose; None if there was no time for it.
        is_aside: Whether in a thread.
    """

    def __init__(self, make: Callable[[], Search | None], *, is_aside: bool) -> None:
        self._make = make
        self._search: Search | None = None
        self._error: BaseException | None = None
        self._thread: threading.Thread | None = None
        if is_aside:
            self._thread = threading.Thread(target=self._work, name="preparing")
            self._thread.start()
        else:
            self._work()

    @property
    def is_over(self) -> bool:
        """Whether it has ended, well or not."""
        return self._thread is None or not self._thread.is_alive()

    def wait(self, seconds: float) -> None:
        """Waits for the end, at most so long."""
        if self._thread is not None:
            self._thread.join(max(seconds, 0.0))

    def search(self) -> Search | None:
        """Returns the search once it is ready; None before, or if there was no time for it.

        Raises:
            BaseException: Whatever ended the preparation.
        """
        if not self.is_over:
            return None
        if self._error is not None:
            error, self._error = self._error, None
            raise error
        return self._search

    def _work(self) -> None:
        try:
            self._search = self._make()
        except BaseException as error:  # noqa: BLE001 (the border of a thread: raised in `search`)
            self._error = error
