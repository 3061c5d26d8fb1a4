import math

import numpy as np
import pytest
from sklearn.datasets import load_diabetes, load_digits
from sklearn.linear_model import LinearRegression, LogisticRegression

from workbench.core.errors import InputError
from workbench.evaluation import paired_difference
from workbench.evaluation.compare import bonett_price


def hits(both, lost, won, neither):
    baseline = [True] * (both + lost) + [False] * (won + neither)
    candidate = [True] * both + [False] * lost + [True] * won + [False] * neither
    return np.array(baseline), np.array(candidate)


def test_bonett_price_follows_the_published_formula():
    # n = 100, 14 lost, 5 won; worked by hand from Bonett and Price (2012)
    found = bonett_price(*hits(70, 14, 5, 11), confidence=0.95)
    gain, loss = 6 / 102, 15 / 102
    reach = 1.959964 * math.sqrt((gain + loss - (gain - loss) ** 2) / 102)
    assert found.value == pytest.approx(-0.09)
    assert found.low == pytest.approx(gain - loss - reach, abs=1e-6)
    assert found.high == pytest.approx(gain - loss + reach, abs=1e-6)


def test_models_that_agree_everywhere_still_leave_doubt():
    found = bonett_price(*hits(40, 0, 0, 2))
    assert found.value == 0
    assert found.low < 0 < found.high
    wide = bonett_price(*hits(40, 0, 0, 2), confidence=0.99)
    assert wide.low < found.low


def test_bonett_price_holds_its_level():
    generator = np.random.default_rng(0)
    covered, trials, truth = 0, 2000, -0.03
    for _ in range(trials):
        kinds = generator.choice(4, 200, p=[0.9, 0.05, 0.02, 0.03])
        baseline, candidate = kinds <= 1, (kinds == 0) | (kinds == 2)
        found = bonett_price(baseline, candidate)
        covered += found.low <= truth <= found.high
    assert 0.88 <= covered / trials <= 0.95


def test_a_worse_classifier_is_found_worse():
    x, y = load_digits(return_X_y=True)
    train, test = slice(0, 900), slice(900, None)
    model = LogisticRegression(max_iter=200).fit(x[train] / 16, y[train])
    good = model.predict_proba(x[test] / 16)
    bad = model.predict_proba(np.where(np.arange(64) < 16, 0, x[test] / 16))
    found = paired_difference("accuracy", good, bad, y[test])
    assert found.low < found.value < found.high < 0
    same = paired_difference("accuracy", good, good, y[test])
    assert same.value == 0
    f1 = paired_difference("f1_macro", good, bad, y[test])
    assert f1.high < 0


def test_a_worse_regression_is_found_worse_and_draws_are_seeded():
    x, y = load_diabetes(return_X_y=True)
    full = LinearRegression().fit(x, y).predict(x)
    poor = LinearRegression().fit(x[:, :2], y).predict(x[:, :2])
    found = paired_difference("r2", full, poor, y)
    assert found.low < found.value < found.high < 0
    assert found == paired_difference("r2", full, poor, y)
    assert paired_difference("rmse", full, poor, y).low > 0


def test_different_samples_cannot_be_compared():
    with pytest.raises(InputError, match="same samples"):
        paired_difference("accuracy", np.zeros((3, 2)), np.zeros((4, 2)), np.zeros(3, int))
