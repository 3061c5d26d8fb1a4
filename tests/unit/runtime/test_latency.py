from __future__ import annotations

import numpy as np
import pytest

from tests.unit.runtime.files import linear
from workbench.core.errors import InputError
from workbench.core.records import Interval
from workbench.runtime import measure_interleaved, open_session
from workbench.runtime.latency import TimingComparison, is_faster, is_slower, ratio_interval


class FakeClock:
    """Nanoseconds that only its sessions spend."""

    def __init__(self) -> None:
        self.now = 0

    def __call__(self) -> int:
        return self.now


class FakeSession:
    threads = 1

    def __init__(self, clock: FakeClock, ns: list[int]) -> None:
        self.clock, self.ns, self.calls = clock, ns, 0

    def run(self, batch):
        self.clock.now += self.ns[self.calls % len(self.ns)]
        self.calls += 1

    def warm(self, batch, runs=2):
        for _ in range(runs):
            self.run(batch)


def test_figures_are_medians_percentiles_and_ratios():
    clock = FakeClock()
    slow = FakeSession(clock, [2_000_000])
    fast = FakeSession(clock, [1_000_000])
    compared = measure_interleaved({"a": slow, "b": fast}, np.zeros((4, 2)), clock=clock)
    assert compared.timings["a"].p50_ms == 2.0
    assert compared.timings["b"].p95_ms == 1.0
    assert compared.timings["b"].batch == 4
    assert compared.ratios["b"].value == pytest.approx(0.5)
    assert compared.words("b") == "×0.50 the latency"
    assert slow.calls == fast.calls


def test_drift_that_hits_all_alike_is_no_difference():
    rng = np.random.default_rng(0)
    drift = np.linspace(1.0, 3.0, 16)[:, None]
    first = drift * rng.normal(1.0, 0.02, (16, 20))
    second = drift * rng.normal(1.0, 0.02, (16, 20))
    ratio = ratio_interval(second, first)
    assert ratio.low < 1.0 < ratio.high
    assert ratio.high - ratio.low < 0.03


def test_a_true_difference_is_found_through_drift():
    rng = np.random.default_rng(0)
    drift = np.linspace(1.0, 3.0, 16)[:, None]
    first = drift * rng.normal(1.0, 0.02, (16, 20))
    ratio = ratio_interval(first * 0.8, first)
    assert ratio.value == pytest.approx(0.8, abs=0.01)
    assert is_faster(ratio)


def test_the_interval_holds_what_it_promises():
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(300):
        noise = rng.lognormal(0, 0.1, (2, 16, 9))
        ratio = ratio_interval(1.1 * noise[0], noise[1])
        hits += ratio.low <= 1.1 <= ratio.high
    assert 0.91 <= hits / 300 <= 0.985


@pytest.mark.parametrize(("spread", "most"), [(0.01, 260), (0.05, 700), (0.3, 1000)])
def test_it_takes_as_long_as_it_must_and_the_interval_still_holds(spread, most):
    rng = np.random.default_rng(1)
    hits, calls = 0, 0.0
    for _ in range(60):
        clock = FakeClock()
        sessions = {
            name: FakeSession(clock, (ns * rng.lognormal(0, spread, 1000)).astype(int).tolist())
            for name, ns in (("a", 100_000), ("b", 110_000))
        }
        found = measure_interleaved(sessions, np.zeros((1, 1)), budget_s=0.3, clock=clock)
        hits += found.ratios["b"].low <= 1.1 <= found.ratios["b"].high
        calls += sessions["a"].calls / 60
    assert hits >= 54
    assert most / 2 < calls <= most, "noise is answered by more calls"


def test_hair_breadths_are_not_called_a_difference():
    ratios = {"a": Interval(0.985, 0.975, 0.995)}
    assert TimingComparison({}, ratios).words("a") == "no difference"
    assert is_slower(Interval(1.1, 1.05, 1.15))


def test_real_sessions_are_told_apart(tmp_path):
    small = open_session(linear(tmp_path / "a.onnx", hidden=16))
    large = open_session(linear(tmp_path / "b.onnx", hidden=4096))
    batch = np.ones((8, 64), np.float32)
    compared = measure_interleaved({"small": small, "large": large}, batch, budget_s=0.1)
    assert is_slower(compared.ratios["large"])


def test_nothing_to_measure_is_an_error():
    with pytest.raises(InputError, match="at least one"):
        measure_interleaved({}, np.zeros((1, 1)))
