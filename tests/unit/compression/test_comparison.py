"""What a comparison says, against counts made by hand and scikit-learn."""

import numpy as np
from sklearn.calibration import calibration_curve

from workbench.compression.comparison import Comparison, calibration_error, compared
from workbench.core.records import Description
from workbench.core.signature import Signature

LABELS = ("a", "b", "c")


def about(task, labels=(), output="value"):
    return Description(task, output, labels, Signature((), ()))


def outputs_of(answers, strength=4.0):
    return (np.eye(3)[np.array(answers)] * strength).astype(np.float32)


def test_flips_and_harm_are_those_counted_by_hand():
    targets = np.array([0] * 20 + [1] * 20 + [2] * 20)
    before, after = targets.copy(), targets.copy()
    before[0], after[1] = 1, 2  # one is won, one lost
    after[20:26] = 0  # six of class b are lost
    before[59], after[59] = 0, 1  # wrong both times
    classes = about("classification", LABELS, "logits")
    found = compared("x", "accuracy", outputs_of(before), outputs_of(after), targets, classes)
    assert found.flip_counts == {"lost": 7, "won": 1, "other": 1}
    assert [f.index for f in found.flips][:7] == [1, 20, 21, 22, 23, 24, 25]
    assert found.flips[-1].index == 59
    assert [c.label for c in found.harmed] == ["b"], "the average loses 6 of 60"
    assert found.classes[0].before == 1.0
    assert found.classes[0].after == 0.7
    assert abs(found.difference.value + 6 / 60) < 1e-12
    assert Comparison.from_json(found.to_json()) == found


def test_calibration_error_agrees_with_scikit_learn():
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0.5, 1.0, 4000)
    hits = rng.uniform(size=4000) < confidence**2
    shares = np.stack([confidence, 1 - confidence], axis=1)
    targets = np.where(hits, 0, 1)
    found = calibration_error(shares, targets, "probabilities", bins=10)
    truth, said = calibration_curve(hits, confidence, n_bins=10)
    counts = np.histogram(confidence, bins=10, range=(0, 1))[0]
    expected = (counts[counts > 0] / 4000 * np.abs(truth - said)).sum()
    assert abs(found - expected) < 1e-9


def test_values_have_largest_changes_and_no_flips():
    rng = np.random.default_rng(0)
    before = rng.normal(size=(50, 1)).astype(np.float32)
    after = before.copy()
    after[[7, 31], 0] += np.array([0.5, -2.0], np.float32)
    found = compared("x", "rmse", before, after, before[:, 0], about("regression"))
    assert [c.index for c in found.changes] == [31, 7]
    assert not found.flips
    assert found.flip_counts is None
    assert Comparison.from_json(found.to_json()) == found
