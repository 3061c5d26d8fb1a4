"""Callers that ask all the time, and must not notice what happens to others."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from tests.unit.serving.harness import wait_for
from workbench.core.errors import WorkbenchError
from workbench.serving.client import Client
from workbench.serving.errors import EndpointGoneError

_ZEROS = np.zeros((4, 1, 8, 8), np.float32)


class Broken(Exception):
    """Something did not hold that should."""


class Steady:
    """Threads that ask one endpoint without a pause.

    Attributes:
        answered: How many requests were.
        lost: Whose connection ended before the answer, as with a killed process.
        failed: Every other error.
    """

    def __init__(self, url: str, token: str, count: int) -> None:
        self.answered = 0
        self.lost: list[str] = []
        self.failed: list[str] = []
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._ask, args=(url, token), daemon=True) for _ in range(count)
        ]
        for thread in self._threads:
            thread.start()

    def go_on(self, requests: int = 5) -> None:
        """Waits for further answers.

        Raises:
            Broken: There are none, or a request failed.
        """
        wanted = self.answered + requests
        try:
            wait_for(lambda: self.answered >= wanted or self.failed)
        except TimeoutError:
            raise Broken("others are no longer answered") from None
        self.check()

    def check(self) -> None:
        """Raises `Broken` if a request failed."""
        if self.failed:
            raise Broken(f"others got {len(self.failed)} errors, the first: {self.failed[0]}")

    def end(self) -> None:
        """Stops asking."""
        self._stop.set()
        for thread in self._threads:
            thread.join(30)

    def _ask(self, url: str, token: str) -> None:
        with Client(url, token, "digits", timeout_s=20) as client:
            while not self._stop.is_set():
                try:
                    if len(client.predict(_ZEROS)) == len(_ZEROS):
                        self.answered += 1
                except EndpointGoneError as error:
                    self.lost.append(str(error))
                    if not self._stop.wait(0.002):
                        continue
                except WorkbenchError as error:
                    self.failed.append(f"{error.code}: {error}")


@contextmanager
def steady(url: str, token: str, count: int = 2) -> Iterator[Steady]:
    """Asks for the time of the block, from before it begins."""
    made = Steady(url, token, count)
    try:
        made.go_on()
        yield made
    finally:
        made.end()
