"""A test engine that counts: "5" in a file makes a model that answers 1 … 5, one a piece.

It comes through the plug-in door, as an engine of another package would.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager

import numpy as np

from workbench.core.signature import Signature, TensorSpec
from workbench.serving.engine import Engine
from workbench.serving.engines import ENGINES


class Stop(Exception):
    """What the model raises in the middle."""


class Counter:
    """Counts to `n` plus the input, or without end if that is negative.

    Attributes:
        made: How many pieces were made.
        gate: The piece after number `held` waits for it; set unless `held` is.
        closed: Set when the iterator was closed or ran out.
        threads: Which threads advanced it.
    """

    signature = Signature(
        (TensorSpec("more", "int64", (1,)),),
        (TensorSpec("number", "int64", (1,)), TensorSpec("text", "str", (1,))),
    )

    def __init__(self, n: int) -> None:
        self.n, self.made = n, 0
        self.held: int | None = None
        self.fails_at: int | None = None
        self.padding = 0
        self.gate, self.closed = threading.Event(), threading.Event()
        self.news = threading.Condition()
        self.threads: set[str] = set()
        self.is_unloaded = False

    def predict(self, inputs):
        return self._piece(self.n + int(inputs["more"][0]))

    def stream(self, inputs):
        last = self.n + int(inputs["more"][0])
        number = 0
        self.closed.clear()
        try:
            while number != last:
                if number == self.held:
                    assert self.gate.wait(30)
                if number == self.fails_at:
                    raise Stop("a secret")
                number += 1
                with self.news:
                    self.made = number
                    self.threads.add(threading.current_thread().name)
                    self.news.notify_all()
                yield self._piece(number)
        finally:
            self.closed.set()

    def wait_made(self, count: int) -> None:
        with self.news:
            assert self.news.wait_for(lambda: self.made >= count, 30)

    def close(self):
        self.is_unloaded = True

    def _piece(self, number: int):
        text = str(number) + "." * self.padding
        return {"number": np.asarray([number]), "text": np.asarray([text], object)}


class CountingEngine(Engine):
    """Counts."""

    summary = "Counts, for tests"
    suffixes = (".count",)

    def load(self, path, config):
        return Counter(int(path.read_text()))


@contextmanager
def counting():
    """Registers the engine for the time of the block."""
    ENGINES.add("counting", CountingEngine())
    try:
        yield
    finally:
        del ENGINES._loaded["counting"]
        ENGINES._own.discard("counting")


def in_flight(endpoint) -> int:
    """Returns how many streams of the counting model an endpoint has under way."""
    return endpoint.service.router.find("count", "1").metrics.streams
