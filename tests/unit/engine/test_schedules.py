import pytest

from workbench.engine.schedules import rate_factor


def curve(schedule, total=30, warmup=0):
    return [rate_factor(schedule, step, total, warmup) for step in range(total)]


def test_constant_stays():
    assert set(curve("constant")) == {1.0}


def test_cosine_falls_from_one_to_almost_zero():
    rates = curve("cosine")
    assert rates[0] == 1.0
    assert rates == sorted(rates, reverse=True)
    assert rates[15] == pytest.approx(0.5)
    assert 0 < rates[-1] < 0.01


def test_step_falls_tenfold_after_each_third():
    assert curve("step") == pytest.approx([1.0] * 10 + [0.1] * 10 + [0.01] * 10)


@pytest.mark.parametrize("schedule", ["constant", "cosine", "step"])
def test_warm_up_rises_first_and_never_starts_at_zero(schedule):
    rates = curve(schedule, warmup=5)
    assert rates[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert rates[5] == 1.0
    assert max(rates) == 1.0
