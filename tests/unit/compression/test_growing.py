"""What clearly loses too much is given up early; what is good is scored on every sample."""

import numpy as np

from tests.unit.compression.trained import cnn_study
from workbench.compression.confirmation import confirm
from workbench.compression.growing import Refused, stages
from workbench.compression.measured import Measured
from workbench.compression.recipe import parse
from workbench.runtime.session import open_session
from workbench.store import NullContext


def test_stages_double_and_end_with_all():
    assert stages(50) == [50]
    assert stages(128) == [128]
    assert stages(700) == [128, 256, 512, 700]


def test_a_collapsed_variant_is_refused_on_few_samples_and_stored_as_no_measurement():
    engine = cnn_study()
    recipe = parse("prune:0.95")
    found = engine.trial(recipe, 0.01)
    assert isinstance(found, Refused)
    assert found.samples == 128 < len(engine.dataset.val)
    assert found.at_least > 0.01
    assert engine.find(recipe) is None
    assert engine.trial(recipe, 0.01) == found
    whole = engine.measure(recipe)
    assert whole.samples == len(engine.dataset.val)
    assert abs(whole.difference.value + found.drop) < 0.15


def test_a_good_variant_has_the_figures_of_a_measurement():
    engine = cnn_study()
    recipe = parse("quantize_static:8,percentile=99.9,calibrate=percentile")
    found = engine.trial(recipe, 0.02)
    assert isinstance(found, Measured)
    assert found.samples == len(engine.dataset.val)
    assert engine.measure(recipe) == found


def test_confirmation_is_the_score_on_the_test_split(tmp_path):
    engine = cnn_study()
    variant = engine.measure("half")
    paths = engine.path(engine.baseline()), engine.path(variant)
    test = engine.dataset.test
    confirmed = confirm(*paths, test, engine.metric, NullContext(tmp_path))
    answers = open_session(engine.path(variant)).run(test.batch(np.arange(len(test)))[0])
    assert confirmed.score == (answers.argmax(axis=1) == test.targets).mean()
    assert confirmed.samples == len(test)
    assert confirmed.difference.low <= confirmed.difference.value <= confirmed.difference.high
