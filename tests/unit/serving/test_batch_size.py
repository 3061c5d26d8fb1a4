"""How many rows go into one run is found by running the model."""

import numpy as np

from workbench.core.signature import Signature, TensorSpec
from workbench.serving.batch_size import best_rows


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


class Model:
    """Takes a known time for each number of rows, by a clock of its own."""

    signature = Signature(
        (TensorSpec("x", "float32", ("n", 3)),), (TensorSpec("y", "float32", ("n", 1)),)
    )

    def __init__(self, clock, seconds):
        self.clock, self.seconds, self.tried = clock, seconds, []

    def predict(self, inputs):
        rows = len(inputs["x"])
        self.tried.append(rows)
        self.clock.now += self.seconds(rows)
        return {"y": np.zeros((rows, 1), np.float32)}


def found(monkeypatch, seconds, most=64):
    clock = Clock()
    monkeypatch.setattr("workbench.serving.batch_size.perf_counter", clock)
    model = Model(clock, seconds)
    return best_rows(model, most), max(model.tried)


def test_a_fixed_cost_is_shared_by_as_many_rows_as_allowed(monkeypatch):
    assert found(monkeypatch, lambda rows: 1e-3 + 1e-6 * rows) == (64, 64)
    assert found(monkeypatch, lambda rows: 1e-3 + 1e-6 * rows, most=10) == (8, 8)
    assert found(monkeypatch, lambda rows: 1e-3, most=1) == (1, 1)


def test_rows_that_no_longer_fit_the_cache_are_left_out(monkeypatch):
    assert found(monkeypatch, lambda r: 2e-4 + 4e-5 * r * (1.5 if r > 16 else 1))[0] == 16


def test_rows_that_gain_nothing_are_not_tried_further_for_the_memory_they_take(monkeypatch):
    assert found(monkeypatch, lambda rows: 1e-5 + 9e-5 * rows) == (2, 16)
    assert found(monkeypatch, lambda rows: 9e-5 * rows) == (1, 4)


def test_a_slow_model_is_not_run_for_long_and_takes_few_rows(monkeypatch):
    assert found(monkeypatch, lambda rows: 0.03 * rows) == (1, 1)
    assert found(monkeypatch, lambda rows: 0.004 + 0.003 * rows) == (8, 8)
