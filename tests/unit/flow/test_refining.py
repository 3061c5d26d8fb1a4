"""The background refinement: waits for measurements, stops when told, says what went wrong."""

from __future__ import annotations

import threading

from workbench.flow.refining import Refining


class Slow:
    """An estimator that takes steps until its context stops it."""

    is_complete = False

    def __init__(self, steps: int = 1_000_000) -> None:
        self.steps, self.done = steps, 0
        self.began = threading.Event()

    def refine(self, context) -> None:
        for _ in range(self.steps):
            context.check()
            context.progress(self.done, self.steps)
            self.done += 1
            self.began.set()


def test_it_runs_to_its_end_and_only_once():
    slow = Slow(3)
    refining = Refining(slow, lambda: False)
    refining.start()
    refining.start()
    assert refining.wait(10)
    assert slow.done == 3
    assert refining.error is None


def test_it_stops_at_its_next_step():
    slow = Slow()
    refining = Refining(slow, lambda: False)
    refining.start()
    assert slow.began.wait(10)
    refining.stop()
    assert not refining.is_running
    assert slow.done < slow.steps


def test_it_waits_while_a_variant_is_measured():
    measuring = threading.Event()
    measuring.set()
    asked = threading.Event()

    def is_measuring() -> bool:
        asked.set()
        return measuring.is_set()

    slow = Slow(2)
    refining = Refining(slow, is_measuring)
    refining.start()
    assert asked.wait(10)
    assert slow.done == 0
    measuring.clear()
    assert refining.wait(10)
    assert slow.done == 2


def test_what_went_wrong_is_kept():
    class Broken(Slow):
        def refine(self, context) -> None:
            raise ValueError("no disk")

    refining = Refining(Broken(), lambda: False)
    refining.start()
    assert refining.wait(10)
    assert str(refining.error) == "no disk"


def test_nothing_starts_when_nothing_is_left_to_do():
    slow = Slow()
    slow.is_complete = True
    refining = Refining(slow, lambda: False)
    refining.start()
    assert not refining.is_running
