"""Series: statistics by channel, one shape in and out, and a network of one's own all the way."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from workbench.core.errors import InputError
from workbench.data.load import load
from workbench.flow.workspace import Workspace

COUNT, LENGTH = 120, 32


def waves(seed=0):
    """Two channels of different units; the class is which one swings faster."""
    rng = np.random.default_rng(seed)
    classes = rng.integers(0, 2, COUNT)
    speeds = np.where(classes[:, None] == [0, 1], 0.9, 0.3)
    moments = np.arange(LENGTH) + rng.uniform(0, 6, (COUNT, 1, 1))
    swing = np.sin(speeds[:, :, None] * moments) * np.array([[1.0], [300.0]])
    return (swing + np.array([[0.0], [1000.0]])).astype(np.float32), classes


def test_each_channel_has_its_own_mean_and_deviation(store):
    inputs, targets = waves()
    data = load(store, "arrays", inputs=inputs, targets=targets, modality="series")
    mean, std = data.normalization
    rows = inputs[data.train.indices].astype(float)
    assert data.sample_shape == (2, LENGTH)
    assert np.allclose(mean[:, 0], rows.mean((0, 2)), rtol=1e-5, atol=1e-5)
    assert np.allclose(std[:, 0], rows.std((0, 2)), rtol=1e-4)
    assert np.array_equal(data.val[0].input, inputs[data.val.indices[0]])


def test_one_channel_may_have_one_axis_and_a_value_at_each_moment(store):
    inputs = waves()[0][:, 0]
    data = load(
        store, "arrays", inputs=inputs, targets=np.roll(inputs, 1, 1), modality="series",
        task="dense",
    )  # fmt: skip
    assert data.sample_shape == (1, LENGTH)
    assert data.train.targets.shape[1:] == (1, LENGTH)
    assert data.test[0].input.shape == (LENGTH,)


def test_holes_and_other_shapes_are_refused(store):
    inputs, targets = waves()
    inputs[3, 0, 5] = np.nan
    with pytest.raises(InputError, match="row 3"):
        load(store, "arrays", inputs=inputs, targets=targets, modality="series")
    with pytest.raises(InputError, match="N×C×T"):
        load(store, "arrays", inputs=inputs[..., None], targets=targets, modality="series")


def test_a_convolution_of_ones_own_goes_from_series_to_answers(tmp_path):
    space = Workspace(tmp_path / ".workbench", inline=True)
    inputs, targets = waves()
    data = space.load(
        "arrays", inputs=inputs, targets=targets, modality="series", labels=("first", "second")
    )
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv1d(2, 8, 5, padding=2), nn.ReLU(), nn.AdaptiveAvgPool1d(1), nn.Flatten(),
        nn.Linear(8, 2),
    )  # fmt: skip
    run = space.train(data, module, epochs=20)
    study = space.study(run, data)
    variant = study.measure("quantize_static:8")
    assert variant.score >= study.baseline.score - 0.1 > 0.8
    endpoint = space.serve(space.register(variant, "waves").ref)
    try:
        answers = endpoint.predict(inputs[data.test.indices])
    finally:
        endpoint.stop()
    names = [data.labels[target] for target in data.test.targets]
    assert np.mean([a.label == name for a, name in zip(answers, names, strict=True)]) > 0.8
