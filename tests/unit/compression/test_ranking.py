"""What a step that ranks all layers takes from each, between the amounts that were sorted."""

from __future__ import annotations

import pytest

from tests.unit.compression.trained import resnet_study
from workbench.compression.ranking import Ranking
from workbench.compression.recipe import parse
from workbench.compression.treatments import global_shares


@pytest.mark.parametrize("amount", [0.005, 0.31, 0.5, 0.973])
def test_shares_are_those_of_sorting_all_weights(amount):
    subject = resnet_study().build("")
    names = tuple(layer.name for layer in subject.layers)
    step = parse(f"prune:{amount}").steps[0]
    found = Ranking(subject).shares(step, subject, names)
    wanted = global_shares(step, subject, names)
    assert found == pytest.approx(wanted, abs=0.02)
    weights = {layer.name: subject.state[layer.parameter].size for layer in subject.layers}
    taken = sum(found[name] * weights[name] for name in names) / sum(weights.values())
    assert taken == pytest.approx(amount, abs=1e-3)
