"""One-shot pruning breaks BatchNorm statistics; re-estimation repairs them."""

from __future__ import annotations

import numpy as np

from tests.unit.compression.trained import digits, resnet_study
from workbench.compression import METHODS
from workbench.compression.batch_norm import reestimated
from workbench.exporting.state import predictor, state_of


def accuracy(module, state) -> float:
    inputs, targets = digits().val.batch(np.arange(len(digits().val)))
    return float((predictor(module, state)(inputs).argmax(1) == targets).mean())


def test_a_resnet_pruned_by_half_collapses_and_comes_back():
    study = resnet_study()
    subject = study.build("baseline")
    method = METHODS.get("prune")
    names = [layer.parameter for layer in subject.layers]
    pruned = method.change_weights(
        {name: subject.state[name] for name in names}, method.Config(amount=0.5, scope="layer")
    )
    one_shot = accuracy(subject.module, {**subject.state, **pruned})
    assert accuracy(subject.module, subject.state) > 0.97
    assert one_shot < 0.7
    variant = study.measure("prune:0.5,scope=layer")
    assert variant.score > 0.88
    assert variant.score > one_shot + 0.25
    assert any("BatchNorm" in note for note in variant.notes)


def test_statistics_are_those_of_the_samples():
    study = resnet_study()
    subject = study.build("baseline")
    inputs = digits().train.batch(np.arange(512))[0]
    state = reestimated(subject.module, subject.state, inputs)
    stem = next(n for n, part in subject.module.named_modules() if hasattr(part, "running_mean"))
    seen = {}

    def look(_, args):
        seen["input"] = args[0].detach().numpy()

    layer = subject.module.get_submodule(stem)
    handle = layer.register_forward_pre_hook(look)
    predictor(subject.module)(inputs)
    handle.remove()
    expected = seen["input"].mean(axis=(0, 2, 3))
    np.testing.assert_allclose(state[f"{stem}.running_mean"], expected, atol=1e-5)


def test_the_module_and_the_other_tensors_stay():
    subject = resnet_study().build("baseline")
    before = state_of(subject.module)
    state = reestimated(subject.module, subject.state, digits().train.batch(np.arange(256))[0])
    after = state_of(subject.module)
    for name, value in before.items():
        np.testing.assert_array_equal(after[name], value)
        if "running" not in name:
            np.testing.assert_array_equal(state[name], subject.state[name])
