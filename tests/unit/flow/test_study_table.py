from types import SimpleNamespace

import pytest

from workbench.core.records import Interval
from workbench.flow import study_table


def variant(
    change, metric="accuracy", recipe="prune:0.5", ratio=(1.2, 1.1, 1.3), confirmation=None
):
    return SimpleNamespace(
        recipe=recipe,
        is_baseline=recipe == "baseline",
        metric=metric,
        difference=Interval(*change),
        latency_ratio=Interval(*ratio),
        reason="×0.32 the bytes",
        confirmation=confirmation,
    )


@pytest.mark.parametrize(
    ("change", "metric", "words"),
    [
        ((-0.0089, -0.018, 0.0), "accuracy", "−0.9 pt accuracy (90 % interval −1.8 to 0.0)"),
        ((0.0, -0.005, 0.004), "accuracy", "the same accuracy (90 % interval ±0.5 pt)"),
        ((-0.021, -0.03, -0.011), "r2", "−0.021 r2 (90 % interval −0.030 to −0.011)"),
    ],
)
def test_the_verdict_says_what_is_lost_with_its_interval(change, metric, words):
    assert study_table.sentence(variant(change, metric)) == f"{words}; ×0.32 the bytes."


def test_what_unseen_samples_say_stands_beside_it():
    unlucky = SimpleNamespace(
        difference=Interval(-0.013, -0.025, -0.002), samples=1450, metric="f1_macro"
    )
    said = study_table.sentence(variant((-0.009, -0.019, 0.001), confirmation=unlucky))
    assert said.endswith("bytes. Confirmed: −1.3 [−2.5, −0.2] pt on 1,450 unseen samples.")


def test_choosing_the_baseline_is_said():
    assert "baseline is the choice" in study_table.sentence(variant((0, 0, 0), recipe="baseline"))


def test_a_busier_machine_is_said_where_p50_and_ratio_disagree():
    baseline = SimpleNamespace(latency_ms=1.0)
    calm = SimpleNamespace(latency_ms=0.5, latency_ratio=Interval(0.52, 0.5, 0.54))
    busy = SimpleNamespace(latency_ms=0.26, latency_ratio=Interval(0.49, 0.47, 0.51))
    assert study_table.notes(baseline, [calm]) == []
    (note,) = study_table.notes(baseline, [calm, busy])
    assert "busier" in note


@pytest.mark.parametrize(
    ("ratio", "words"),
    [((0.9, 0.85, 0.95), "×0.90"), ((1.0, 0.97, 1.03), "×1.00 (no diff.)")],
)
def test_a_difference_inside_its_interval_is_none(ratio, words):
    assert study_table.latency(variant((0, 0, 0), ratio=ratio)) == words
