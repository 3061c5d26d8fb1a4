from __future__ import annotations

import numpy as np
import pytest

from workbench.core.errors import InputError, NotFoundError, UnsupportedError
from workbench.data.augment import Augment, check_augment, parse_augment


def test_text_and_json_are_the_same():
    steps = parse_augment("shift:2,fill=zero + rotate:10")
    assert parse_augment([step.to_json() for step in steps]) == steps
    assert [step.kind for step in steps] == ["shift", "rotate"]
    assert steps[0].config.pixels == 2
    assert steps[0].config.fill == "zero"
    assert parse_augment(None) == ()
    assert parse_augment({"kind": "shift", "pixels": 3})[0].config.pixels == 3


def test_wrong_text_names_the_nearest():
    with pytest.raises(NotFoundError, match="'shift'"):
        parse_augment("shfit:1")
    with pytest.raises(InputError, match="pixels"):
        parse_augment("shift:far")
    with pytest.raises(InputError, match="no name"):
        parse_augment("shift:1,2")
    with pytest.raises(InputError):
        parse_augment(3)


def test_tables_cannot_be_shifted():
    with pytest.raises(UnsupportedError, match="image"):
        check_augment(parse_augment("shift"), "table", "classification", ("a",))


def test_labels_left_alone_are_told_and_stay_as_they_are():
    steps, labels = parse_augment("flip"), ("6", "cat")
    (finding,) = check_augment(steps, "image", "classification", labels)
    assert finding.places == ("6",)
    inputs = np.random.default_rng(0).random((40, 1, 4, 4), np.float32)
    targets = np.arange(40) % 2
    changed = Augment(steps, labels)(inputs, targets, np.random.default_rng(0))
    moved = (changed != inputs).any((1, 2, 3))
    assert not moved[targets == 0].any()
    assert 3 < moved[targets == 1].sum() < 17
    assert (inputs == np.random.default_rng(0).random((40, 1, 4, 4), np.float32)).all()


def test_of_labels_that_hold_together_one_that_is_left_alone_is_enough():
    labels = ("6", "round")
    steps = parse_augment("flip:vertical")
    inputs = np.random.default_rng(0).random((3, 1, 4, 4)).astype(np.float32)
    targets = np.array([[1, 1], [0, 1], [0, 0]], np.uint8)
    left_out = check_augment(steps, "image", "multilabel", labels)
    assert left_out[0].places == ("6",)
    for seed in range(20):
        changed = Augment(steps, labels)(inputs, targets, np.random.default_rng(seed))
        assert np.array_equal(changed[0], inputs[0])
        if not np.array_equal(changed[1:], inputs[1:]):
            return
    raise AssertionError("the others were never changed")
