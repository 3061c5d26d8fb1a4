"""What `make bench-compress` counts, and what it says of what it cannot run."""

from types import SimpleNamespace

import numpy as np
import pytest

from tests.benchmarks import compress, compress_rivals
from tests.benchmarks.compress_space import Oracle, Space, Trace
from tests.unit.compression.trained import cnn_study
from workbench.compression.estimator import Estimator


def variant(size, drop):
    change = SimpleNamespace(value=-drop / 100)
    return SimpleNamespace(size_bytes=size, difference=change, higher_is_better=True)


def traced(*points):
    trace = Trace()
    for index, (size, drop) in enumerate(points):
        trace.add(variant(size, drop), float(index))
    return trace


BASE = variant(1000, 0.0)


def test_the_volume_is_the_area_under_the_staircase():
    trace = traced((150, 5.0), (60, 8.0), (290, 20.0), (400, 0.0))
    assert trace.volume(BASE) == pytest.approx((150 * 5 + 90 * 2) / (300 * 10))
    assert trace.volume(BASE, count=1) == pytest.approx(150 * 5 / 3000)
    assert trace.volume(BASE, within_s=0.5) == trace.volume(BASE, count=1)


def test_the_smallest_and_the_margin_are_those_a_user_would_name():
    trace = traced((300, 0.5), (200, 0.9), (100, 3.0))
    assert trace.smallest(BASE) == pytest.approx(0.2)
    assert trace.smallest(BASE, count=1) == pytest.approx(0.3)
    assert trace.margin(BASE, variant(250, 1.0)) == pytest.approx(0.1), "0.9 lost at no more bytes"
    assert trace.margin(BASE, variant(150, 1.0)) == pytest.approx(-2.0)


def test_what_is_not_installed_is_said_and_left_out(monkeypatch):
    monkeypatch.setattr(compress_rivals, "is_installed", lambda name: name != "nncf")
    assert list(compress_rivals.not_run()) == ["nncf"]
    assert "pip install 'maas-workbench[bench-compress]'" in compress_rivals.not_run()["nncf"]
    monkeypatch.setattr(compress_rivals, "is_installed", lambda name: True)
    assert compress_rivals.not_run() == {}


def test_a_figure_that_misses_its_goal_is_marked_in_the_table():
    row = {
        "volume at 20": 0.8,
        "volume at the end": 0.8,
        "volume at 40 s": 0.8,
        "volume at 120 s": 0.8,
        "size at 1 point": 0.1,
        "size at 1 point after 20": 0.1,
    }
    worse = {**row, "volume at 20": 0.5, "size at 1 point": 0.2}
    items = compress.figures({"ours": row, "tpe": worse, "ort defaults": worse}, 100)
    top = compress.ceiling([traced((90, 0.0))], BASE)
    why = compress.reasons({"ours": {**row, "volume at the end": 0.81}, "tpe": row}, [*items, top])
    assert len(why) == 3, "volumes out of reach, and two sizes that nobody passed"
    assert "is 0.920, but the smallest file" in why[0]
    assert "would give 0.700 if it lost nothing" in why[0]
    named = [item.to_json() for item in items]
    results = {
        "machine": compress.machine(),
        "nets": {"net, whole": {"figures": named, "runs": [{}], "reasons": why, "not_run": {}}},
    }
    text = compress.markdown(results)
    assert "| ≥ 1.15 | 1.6 × |" in text
    assert "**1 ×, missed**" in text
    assert f"- net, whole: {why[0]}" in text
    assert compress.machine()["cpu"]["name"] in text


@pytest.mark.full
def test_rivals_begin_with_uniform_recipes_and_pay_once_for_each():
    engine = cnn_study()
    oracle = Oracle(engine)
    estimator = Estimator(engine)
    estimator.refine(looks=6)
    space = Space(estimator, 0, restructures=False)
    trace = compress_rivals.mutation(oracle, space, 8, seed=0)
    recipes = [item.recipe for item in trace.items]
    assert len(set(recipes)) == len(recipes) == 8
    assert "cluster:16" in recipes
    assert np.all(np.diff(trace.seconds) > 0)
    again = compress_rivals.mutation(oracle, space, 8, seed=0)
    assert again.seconds == trace.seconds, "who asks pays what it cost, remembered or not"
