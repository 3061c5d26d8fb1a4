"""Quick looks agree with the files they stand for, on samples that are chosen well."""

from __future__ import annotations

import functools

import numpy as np
import pytest

from tests.unit.compression.trained import digits, home, imported_study, network, resnet_study
from workbench.compression.look_samples import by_margin, spread_evenly
from workbench.compression.looks import Look, Looker
from workbench.compression.probing import Prober
from workbench.compression.recipe import parse
from workbench.compression.study import StudyEngine
from workbench.compression.treatments import treatments_of
from workbench.store import NullContext
from workbench.tasks import TASKS

margins = TASKS.get("classification").margins


@functools.cache
def prober() -> Prober:
    study = resnet_study()
    return Prober(study.build(""), study.tools(NullContext(home().home.root)), 16)


@pytest.mark.parametrize(
    "recipe",
    [
        "prune:0.5",
        "prune:0.8 + quantize_static",
        "quantize_static",
        "cluster:16",
        "quantize_weights:4",
        "low_rank:0.9",
        {"net.stages.1.first.0": "prune:0.7,scope=layer", "*": "half"},
    ],
)
def test_a_look_at_all_samples_sees_what_a_measurement_would(recipe):
    study = resnet_study()
    looker = Looker(study, prober(), samples=10_000)
    found = looker.look(parse(recipe))
    measured = study.measure(recipe)
    drop = 100 * (study.baseline().score - measured.score)
    assert found.samples == len(study.dataset.val)
    assert found.drop == pytest.approx(drop, abs=max(1.0, 0.2 * abs(drop)))


def test_few_samples_see_small_drops_nearly_as_well_as_all():
    looker, few = (Looker(resnet_study(), prober(), samples=n) for n in (10_000, 120))
    for recipe in ("prune:0.3", "prune:0.5", "quantize_static"):
        whole, part = looker.look(parse(recipe)), few.look(parse(recipe))
        assert abs(whole.drop - part.drop) <= 3 * part.noise
        assert part.noise < 1.5


def test_samples_that_are_decided_narrowly_are_all_looked_at():
    outputs = np.random.default_rng(0).normal(size=(2000, 10))
    margins = np.diff(np.sort(outputs, axis=1)[:, -2:], axis=1).ravel()
    chosen = by_margin(margins, 200, start=0.3)
    assert set(np.argsort(margins)[:30]) <= set(chosen.indices)
    assert 190 <= len(chosen.indices) <= 210
    assert chosen.weights.sum() == pytest.approx(1)
    assert (np.diff(chosen.indices) > 0).all()


def test_the_weights_make_up_for_the_choice():
    outputs = np.random.default_rng(0).normal(size=(2000, 10))
    wanted = np.random.default_rng(1).random(2000)
    found = [
        float(chosen.weights @ wanted[chosen.indices])
        for chosen in (by_margin(margins(outputs), 300, start / 40) for start in range(40))
    ]
    assert np.mean(found) == pytest.approx(wanted.mean(), abs=0.02)


def test_all_samples_if_there_are_no_more():
    assert len(by_margin(margins(np.eye(7)), 20, start=0.0).indices) == 7
    assert spread_evenly(7, 3).indices.tolist() == [0, 3, 6]


def test_looks_work_without_torch_and_without_batch_norm():
    for study in (imported_study(), StudyEngine(home(), network("mlp", 4), digits())):
        ready = Prober(study.build(""), study.tools(NullContext(home().home.root)), 16)
        looker = Looker(study, ready, samples=10_000)
        found = looker.look(parse("prune:0.6,scope=layer"))
        drop = 100 * (study.baseline().score - study.measure("prune:0.6,scope=layer").score)
        assert found.drop == pytest.approx(drop, abs=max(1.5, 0.25 * abs(drop)))


def test_a_layer_split_in_two_is_one_weight():
    recipe = parse("low_rank:0.9")
    effects = prober().effects(treatments_of(recipe, resnet_study().build("")))
    shapes = {name: prober().plain.base[la.initializer].shape
              for name, la in prober().plain.layers.items()}  # fmt: skip
    assert {name: effect.weight.shape for name, effect in effects.items()} == shapes
    assert any(effect.macs < 0 for effect in effects.values())


def test_a_look_survives_json():
    look = Look(parse("prune:0.5"), 1.5, 0.25, 200)
    assert Look.from_json(look.to_json()) == look
