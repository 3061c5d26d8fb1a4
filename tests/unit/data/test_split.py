from __future__ import annotations

import numpy as np
import pytest

from workbench.core.errors import InputError
from workbench.data.collected import Collected
from workbench.data.split import (
    FRACTIONS,
    assign,
    by_group,
    by_time,
    check_fractions,
    part_code,
    stratified,
)


def collected(targets, **more):
    targets = np.asarray(targets)
    is_classes = targets.dtype.kind == "i"
    return Collected(
        modality="table",
        task="classification" if is_classes else "regression",
        labels=tuple(map(str, range(targets.max() + 1))) if is_classes else (),
        samples=np.zeros((len(targets), 1)),
        targets=targets,
        place=str,
        **more,
    )


def test_each_class_is_spread_evenly_and_totals_are_exact():
    targets = np.repeat(np.arange(10), [20, 31, 44, 50, 63, 70, 81, 90, 100, 451])
    codes = stratified(targets, FRACTIONS, np.random.default_rng(0))
    assert [(codes == part).sum() for part in range(3)] == [700, 150, 150]
    for label in range(10):
        of_class = codes[targets == label]
        for part, share in enumerate(FRACTIONS):
            assert abs((of_class == part).sum() - share * len(of_class)) < 2


def test_half_a_quarter_a_quarter():
    codes, _ = assign(collected(np.arange(1797) % 10), (0.5, 0.25, 0.25), 0)
    assert [(codes == part).sum() for part in range(3)] == [898, 449, 450]


def test_the_seed_decides():
    data = collected(np.arange(100) % 4)
    first, again, other = (assign(data, None, seed)[0] for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()


@pytest.mark.parametrize("fractions", [(0.7, 0.2, 0.2), (0, 0.5, 0.5), (0.7, 0.3, -0.0001)])
def test_fractions_that_cannot_be(fractions):
    with pytest.raises(InputError, match="cannot be made"):
        check_fractions(fractions)


def test_a_class_of_two_always_trains():
    targets = np.r_[np.zeros(50, int), 1, 1]
    for seed in range(20):
        codes, _ = assign(collected(targets), (0.4, 0.3, 0.3), seed)
        assert (codes[targets == 1] == 0).any()


def test_values_are_spread_over_their_range():
    targets = np.linspace(0, 1, 400).astype(np.float32)
    codes, _ = assign(collected(targets), None, 0)
    for part in range(3):
        assert abs(targets[codes == part].mean() - 0.5) < 0.05


def test_groups_stay_together():
    groups = np.array([f"病人{i // 5}" for i in range(200)])
    codes = by_group(groups, FRACTIONS, np.random.default_rng(0))
    assert all(len(set(codes[groups == group])) == 1 for group in set(groups))
    assert abs((codes == 0).mean() - 0.7) < 0.05


def test_too_few_groups():
    with pytest.raises(InputError, match="2 groups"):
        by_group(np.array([0, 0, 1, 1]), FRACTIONS, np.random.default_rng(0))


def test_time_goes_forward_and_equal_times_stay_together():
    time = np.random.default_rng(0).integers(0, 40, 300)
    codes = by_time(time, FRACTIONS)
    assert time[codes == 0].max() < time[codes == 1].min()
    assert time[codes == 1].max() < time[codes == 2].min()
    assert abs((codes == 0).mean() - 0.7) < 0.05


def test_time_without_a_past():
    with pytest.raises(InputError, match="different times"):
        by_time(np.zeros(10), FRACTIONS)


def test_a_given_split_is_kept_and_completed():
    given = np.array([0] * 80 + [2] * 20, np.int8)
    codes, findings = assign(collected(np.arange(100) % 2, given=given), None, 0)
    assert (codes[80:] == 2).all()
    assert 0 < (codes == 1).sum() < 30
    assert "no val" in findings[0].message


def test_fractions_asked_for_win_over_a_given_split():
    given = np.array([0] * 80 + [2] * 20, np.int8)
    codes, _ = assign(collected(np.arange(100) % 2, given=given), (0.5, 0.25, 0.25), 0)
    assert [(codes == part).sum() for part in range(3)] == [50, 25, 25]


def test_too_few_samples():
    with pytest.raises(InputError, match="empty"):
        assign(collected(np.array([0, 0])), None, 0)


def test_labels_that_a_part_never_sees_are_told():
    given = np.array([0, 0, 1, 1, 2, 2], np.int8)
    data = collected(np.array([0, 0, 0, 0, 1, 1]), given=given)
    _, findings = assign(data, None, 0)
    assert [f.message.split()[0] for f in findings] == ["train", "val", "test"]


@pytest.mark.parametrize(
    ("word", "code"),
    [("Train", 0), ("验证集", 1), (" dev ", 1), ("测试", 2), ("x", None), (1, None)],
)
def test_words_for_parts(word, code):
    assert part_code(word) == code
