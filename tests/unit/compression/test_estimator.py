"""Estimates as a user sees them: before, beside and after measurements."""

from __future__ import annotations

import functools

import pytest

from tests.unit.compression.trained import digits, home, network, resnet_study
from workbench.compression.estimate import Estimate
from workbench.compression.estimator import Estimator
from workbench.compression.recipe import parse
from workbench.compression.study import StudyEngine
from workbench.core.errors import InputError


@functools.cache
def refined() -> Estimator:
    estimator = Estimator(resnet_study(), samples=32)
    estimator.refine(looks=12)
    return estimator


def test_a_first_answer_ranks_strengths_and_says_that_it_is_one():
    estimator = Estimator(resnet_study(), samples=16, seed=7)
    scores = [estimator.estimate(f"prune:{amount}").score.value for amount in (0.3, 0.6, 0.9)]
    assert scores == sorted(scores, reverse=True)
    first = estimator.estimate("prune:0.5 + quantize_static")
    assert first.is_provisional
    assert "first answer from gradients" in first.reason
    assert first.score.low <= first.score.value <= first.score.high


def test_small_changes_cost_little_and_large_ones_much():
    estimator = refined()
    base = estimator.baseline.score
    assert estimator.estimate("quantize_static").score.value == pytest.approx(base, abs=0.01)
    assert estimator.estimate("prune:0.97").score.value < base - 0.2
    said = estimator.estimate("prune:0.5")
    measured = resnet_study().measure("prune:0.5")
    assert said.score.low <= measured.score <= said.score.high


@pytest.mark.parametrize(
    "recipe",
    ["quantize_static", "half", "prune:0.5", '{"net.stages.1.first.0": "quantize_static"}'],
)
def test_the_size_is_that_of_the_file(recipe):
    measured = resnet_study().measure(recipe)
    size = Estimator(resnet_study(), samples=16).estimate(recipe).size_bytes
    assert size.value == pytest.approx(measured.size_bytes, rel=0.005)
    assert size.low <= measured.size_bytes <= size.high


def test_a_measured_recipe_is_reported_as_measured_and_kept_account_of():
    estimator = Estimator(resnet_study(), samples=32)
    measured = resnet_study().measure("prune:0.6")
    assert estimator.report().coverage is None
    estimator.observe(measured)
    assert estimator.estimate("prune:0.6").score.value == measured.score
    assert estimator.estimate("prune:0.6").reason == "measured"
    assert estimator.report().measured == 1
    assert "1 measured recipes" in estimator.report().words


def test_provisional_until_five_measurements_and_for_new_kinds():
    estimator = Estimator(resnet_study(), samples=32)
    for amount in (0.2, 0.4, 0.6, 0.8, 0.9):
        assert "of 5 measurements" in estimator.estimate("prune:0.55").reason
        estimator.observe(resnet_study().measure(f"prune:{amount}"))
    assert "of 5 measurements" not in estimator.estimate("prune:0.55").reason
    estimator.refine()
    assert not estimator.estimate("prune:0.55").is_provisional
    assert "quantize_static was never measured" in estimator.estimate("quantize_static").reason


def test_methods_that_train_say_so():
    said = refined().estimate("prune_structured:0.5")
    assert said.needs_training
    assert "needs training" in said.reason
    assert said.score.low < 0.2
    assert said.score.high == refined().baseline.score
    assert said.size_bytes.high <= refined().baseline.size_bytes


def test_the_table_comes_back_from_the_store():
    before = Estimator(resnet_study(), samples=16, seed=5)
    before.refine(looks=6)
    again = Estimator(resnet_study(), samples=16, seed=5)
    assert again.is_refined
    assert set(again.table.rows) == set(before.table.rows)
    ours, theirs = again.estimate("prune:0.5"), before.estimate("prune:0.5")
    assert ours.score.value == pytest.approx(theirs.score.value, abs=1e-6)


def test_macs_do_not_change_with_number_formats():
    said = refined().estimate("quantize_static")
    assert said.macs == refined().estimate("").macs


def test_estimates_survive_json():
    said = refined().estimate("prune:0.5")
    assert Estimate.from_json(said.to_json()) == said


def test_all_latencies_of_a_mixture_lie_between_the_totals_or_above():
    estimator = Estimator(resnet_study(), samples=16)
    whole = resnet_study().measure("quantize_static")
    estimator.observe(whole)
    assert estimator.estimate("prune:0.2 + quantize_static").latency_ms.value == whole.latency_ms
    some = estimator.estimate({"net.stages.0.first.0": "quantize_static"}).latency_ms
    assert some.low < some.value < some.high


def test_a_file_from_elsewhere_is_estimated_without_torch():
    artifact = home().artifacts.get(resnet_study().baseline().artifact)
    study = StudyEngine(home(), artifact, digits())
    estimator = Estimator(study, samples=16)
    said = [estimator.estimate(f"prune:{amount}").score.value for amount in (0.3, 0.9)]
    assert said[0] > said[1]


def test_a_plain_network_needs_no_batch_norm():
    estimator = Estimator(StudyEngine(home(), network("mlp", 4), digits()), samples=32)
    strong = estimator.estimate("prune:0.9").score.value
    assert strong < estimator.estimate("prune:0.3 + quantize_dynamic").score.value


def test_a_wrong_recipe_is_refused_as_everywhere():
    with pytest.raises(InputError):
        refined().estimate("prune:1.2")
    with pytest.raises(InputError, match="layers that this model does not have"):
        refined().estimate({"nowhere": "prune:0.5"})


def test_amounts_between_the_table_s_are_found_without_probing():
    before = len(refined().table)
    located = refined().locate(parse({"net.stages.1.first.0": "prune:0.55,scope=layer"}))
    assert len(refined().table) == before
    ends = [
        refined().locate(parse({"net.stages.1.first.0": f"prune:{a},scope=layer"})).score
        for a in (0.5, 0.6)
    ]
    assert ends[0] < located.score < ends[1]
