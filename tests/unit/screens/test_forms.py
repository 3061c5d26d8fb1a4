"""Every field of a config becomes a control."""

from __future__ import annotations

import numpy as np

from workbench.compression.methods import METHODS
from workbench.families import FAMILIES
from workbench.flow.workspace import Workspace
from workbench.screens.forms import knobs_of, training_form


def knobs(key):
    return {knob["name"]: knob for knob in knobs_of(METHODS.get(key).Config)}


def test_a_fraction_is_a_slider_with_open_ends():
    amount = knobs("prune")["amount"]
    assert (amount["kind"], amount["min"], amount["max"]) == ("number", 0, 1)
    assert amount["is_open_low"]
    assert amount["is_required"]


def test_a_share_or_a_rank_is_a_slider_of_the_share_that_starts_gently():
    keep = knobs("low_rank")["keep"]
    assert (keep["kind"], keep["min"], keep["max"], keep["start"]) == ("number", 0, 1, 0.9)


def test_a_single_choice_is_no_number():
    assert knobs("quantize_static")["bits"]["kind"] == "choice"


def test_a_number_or_a_word_offers_both():
    at = knobs("clip")["at"]
    assert (at["kind"], at["choices"]) == ("number", ["mse"])


def test_every_method_and_family_has_words_for_each_knob():
    for config in [METHODS.get(k).Config for k in METHODS] + [
        FAMILIES.get(k).Config for k in FAMILIES
    ]:
        for knob in knobs_of(config):
            assert knob["description"], (config, knob["name"])


def test_the_training_form_lists_data_and_families(road):
    form = training_form(road.workspace)
    assert road.data.ref in [d["ref"] for d in form["datasets"]]
    assert "cnn" in [family["key"] for family in form["families"]]


def test_a_family_that_cannot_learn_the_data_is_said_with_the_reason(tmp_path):
    workspace = Workspace(tmp_path / ".workbench", inline=True)
    rows = np.random.default_rng(0).random((40, 3))
    table = workspace.load("arrays", inputs=rows, targets=rows.sum(1), modality="table")
    (offered,) = training_form(workspace)["datasets"]
    assert offered["ref"] == table.ref
    assert set(offered["unfit"]) == {"cnn", "resnet", "unet"}
    assert "image" in offered["unfit"]["cnn"]
