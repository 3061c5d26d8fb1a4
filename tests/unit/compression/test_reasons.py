from __future__ import annotations

from workbench.compression.reasons import Figures, describe
from workbench.core.records import Interval
from workbench.runtime.profile import OperatorTime

FLOAT = (OperatorTime("conv", "Conv", 0.2), OperatorTime("pool", "MaxPool", 0.02))
SLOW = Interval(1.2, 1.1, 1.3)
SAME = Interval(1.0, 0.98, 1.02)
FAST = Interval(0.5, 0.45, 0.55)


def test_boundaries_that_eat_the_gain_are_named_with_milliseconds():
    int8 = (
        OperatorTime("conv", "QLinearConv", 0.2),
        OperatorTime("x.Q", "QuantizeLinear", 0.12),
        OperatorTime("x.D", "DequantizeLinear", 0.08),
    )
    text = describe(
        Figures(1000, 900, 0.22, FLOAT), Figures(300, 250, 0.2, int8), Interval(0.98, 0.9, 1.05)
    )
    assert text == (
        "×0.30 the bytes; no faster: "
        "0.1 of 0.2 ms go to QuantizeLinear/DequantizeLinear (most at x.Q)"
    )


def test_zeros_that_save_nothing_are_said_to_save_nothing():
    text = describe(Figures(1000, 900, 0.22, FLOAT), Figures(1000, 540, 0.22, FLOAT, 0.5), SAME)
    assert text == (
        "saves neither bytes nor time; zeros save no bytes in the file (stored: ×0.60); "
        "no faster: it runs the same operators on the same shapes (0.2 of 0.22 ms in Conv)"
    )


def test_an_operator_that_got_slower_is_named():
    int8 = (OperatorTime("conv", "QLinearConv", 0.3), OperatorTime("pool", "MaxPool", 0.02))
    text = describe(Figures(1000, 900, 0.22, FLOAT), Figures(300, 200, 0.32, int8), SLOW)
    assert "slower, ×1.20 the latency: Conv takes longer (0.2 → 0.3 ms)" in text


def test_a_gain_needs_no_excuse():
    text = describe(Figures(1000, 900, 0.2), Figures(250, 200, 0.1), FAST)
    assert text == "×0.25 the bytes; ×0.50 the latency"
