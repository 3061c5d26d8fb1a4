from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from tests.unit.compression.trained import cnn_study
from workbench.compression import parse
from workbench.compression.rounding import RoundedInput, RoundedWeight, rounded
from workbench.core.errors import InputError
from workbench.exporting.graph import initializers


@pytest.mark.parametrize("most", [127, 64])
@pytest.mark.parametrize("shape", [(6, 5), (6, 4, 3, 3)])
def test_weights_are_rounded_by_channel_as_numpy_does(most, shape):
    weight = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    weight[2] = 0
    got = RoundedWeight(0, most)(torch.from_numpy(weight)).numpy()
    for row, values in zip(got, weight, strict=True):
        scale = np.abs(values).max() / most or 1.0
        np.testing.assert_allclose(row, np.rint(values / scale) * scale, atol=1e-6)


def test_gradients_pass_straight_through_inside_the_range():
    weight = torch.randn(3, 4, requires_grad=True)
    (RoundedWeight(0, 127)(weight) * torch.arange(4.0)).sum().backward()
    np.testing.assert_allclose(weight.grad, np.tile(np.arange(4.0), (3, 1)))


def test_inputs_are_rounded_to_256_levels_with_an_exact_zero():
    values = np.random.default_rng(0).uniform(-1, 3, size=(40, 50)).astype(np.float32)
    values[0, 0] = 0
    hook, layer = RoundedInput(), nn.Linear(50, 1).train()
    (got,) = hook(layer, (torch.from_numpy(values),))
    scale = (values.max() - values.min()) / 255
    zero = round(-values.min() / scale)
    levels = np.clip(np.rint(values / scale) + zero, 0, 255)
    np.testing.assert_allclose(got, (levels - zero) * scale, atol=1e-5)
    assert got[0, 0] == 0
    hook(layer, (torch.from_numpy(values * 2),))
    assert hook.high == pytest.approx(values.max() * 1.05, rel=1e-5)
    layer.eval()
    hook(layer, (torch.from_numpy(values * 9),))
    assert hook.high == pytest.approx(values.max() * 1.05, rel=1e-5)


def test_the_network_is_as_before_after_the_block():
    module = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(8, 3))
    inputs = torch.randn(2, 1, 4, 4)
    before = module(inputs)
    with rounded(module, ["0", "2", "no.such"]):
        assert not torch.equal(module(inputs), before)
    assert torch.equal(module(inputs), before)
    assert list(module.state_dict().keys() - {"0.weight", "0.bias", "2.weight", "2.bias"}) == []


def test_what_it_gives_is_the_static_quantization_of_what_it_trained():
    study = cnn_study()
    variant = study.build("qat:8,epochs=2")
    integers = initializers(variant.graph)
    floats = initializers(variant.origin)
    for layer in variant.layers:
        value = floats[layer.initializer].reshape(len(floats[layer.initializer]), -1)
        scale = np.abs(value).max(axis=1, keepdims=True) / (64 if study.cpu.saturates else 127)
        got = integers[f"{layer.initializer}.i"].reshape(value.shape)
        np.testing.assert_allclose(got, np.rint(value / scale), atol=1)
    assert variant.format == "int8"
    assert study.measure("qat:8,epochs=2").score > study.measure("quantize_static").score - 0.01
    assert any("trained for 2 epochs" in note for note in variant.notes)


@pytest.mark.parametrize(
    ("recipe", "words"),
    [
        ("qat + quantize_static", "already made them int8"),
        ("qat + prune:0.5", "already made them int8"),
        ("quantize_static + qat", "trains the network, so it comes before"),
        ("prune:0.5 + qat", "trains the network, so it comes before"),
    ],
)
def test_impossible_orders_are_refused(recipe, words):
    with pytest.raises(InputError, match=words):
        parse(recipe)


@pytest.mark.full
def test_it_follows_structural_steps_and_single_layers():
    study = cnn_study()
    assert study.build("prune_structured:0.5,epochs=1 + qat:8,epochs=1").format == "int8"
    name = study.build("baseline").layers[-1].name
    graph = study.build({name: "qat:8,epochs=1"}).graph
    made = [item.name for item in graph.graph.initializer if item.name.endswith(".weight.i")]
    assert made == [f"{name}.weight.i"]
