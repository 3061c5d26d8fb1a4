"""A module of the user's own that takes several tensors and gives several learns like any other."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from workbench.core.errors import InputError, UnsupportedError
from workbench.core.signature import TensorSpec
from workbench.data import load
from workbench.engine.loop import outputs_of
from workbench.evaluation import evaluate
from workbench.families import FAMILIES
from workbench.families.network import Named
from workbench.store import NullContext
from workbench.training.config import TrainConfig
from workbench.training.step import describe_module, train

COUNT = 200
QUICK = TrainConfig(epochs=12, lr=0.02, threads=1)
ONE = TrainConfig(epochs=1, lr=0.02, threads=1)


@pytest.fixture
def data(store):
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 10, (COUNT, 4))
    x = [rng.normal(size=(3 + i % 8, 2)).astype(np.float32) for i in range(COUNT)]
    targets = np.array([c.sum() / 10 + a[:, 0].sum() for c, a in zip(codes, x, strict=True)])
    axes = {"x": ("time", None)}
    return load(store, "arrays", inputs={"x": x, "codes": codes}, axes=axes, targets=targets)


@pytest.fixture
def context(tmp_path):
    return NullContext(tmp_path)


class Sums(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.embed = nn.Embedding(10, 8)
        self.moments = nn.Linear(2, 8)
        self.head = nn.Linear(16, 1)

    def forward(self, codes, x, time_lengths):
        moments = torch.relu(self.moments(x)) * _mask(x, time_lengths)
        hidden = torch.cat([moments.sum(1), self.embed(codes).sum(1)], 1)
        return {"x": moments, "logits": self.head(hidden)[:, 0]}


def _mask(x, lengths):
    return (torch.arange(x.shape[1])[None] < lengths[:, None]).float()[..., None]


def test_it_learns_and_its_description_has_all_tensors(data, context):
    trained = train(context, QUICK, data, module=Sums())
    assert trained.metrics["val_r2"] > 0.9
    assert evaluate(trained.module, data).metrics["r2"] == pytest.approx(trained.metrics["val_r2"])
    signature = trained.description.signature
    assert signature.inputs == data.signature
    assert signature.outputs == (
        TensorSpec("output", "float32", ("batch", 1)),
        TensorSpec("output_x", "float32", ("batch", "time", 8)),
    )
    assert isinstance(trained.module, Named)


def test_padding_changes_no_answer(data, context):
    module = train(context, ONE, data, module=Sums()).module
    alone = [outputs_of(module, data.val.batch([i])[0]) for i in range(8)]
    together = outputs_of(module, data.val.batch(range(8))[0])
    np.testing.assert_allclose(together, np.concatenate(alone), rtol=1e-4, atol=1e-5)


def test_training_is_repeatable(data, tmp_path):
    rows = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        rows.append(train(NullContext(tmp_path / name), ONE, data, module=Sums()).history)
    losses = [[row["train_loss"] for row in run] for run in rows]
    assert losses[0] == losses[1]


class InOrder(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.LazyLinear(1)

    def forward(self, a, b, c):
        return self.head(torch.cat([a.sum(1), b.float()], 1)), c


class Few(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.Linear(2, 1)

    def forward(self, x):
        return self.head(x[:, ::2].sum(1)), x[:, ::2]


def test_a_module_without_the_names_gets_all_in_order(data):
    described = describe_module(InOrder(), data)
    assert [spec.name for spec in described.signature.inputs] == ["x", "codes", "time_lengths"]
    assert described.signature.outputs[1] == TensorSpec("output_1", "int64", ("batch",))


def test_only_what_it_names_is_its_input_and_sizes_of_its_own_get_names(data):
    signature = describe_module(Few(), data).signature
    assert [spec.name for spec in signature.inputs] == ["x"]
    assert signature.outputs[1].shape == ("batch", "output_1_1", 2)


class Wrong(Sums):
    def forward(self, x, codes):
        return x.sum((1, 2), keepdim=True)


class Fails(Sums):
    def forward(self, codes, x):
        return self.moments(codes)


class Numbers(Sums):
    def forward(self, codes, x):
        return self.head(torch.zeros(len(x), 16)), 7


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (Wrong, r"shape \(3, 1, 1\); \(3, 1\) is needed"),
        (
            Fails,
            r"failed on batch = 3, time = \d+ in test_named_tensors.py, line \d+: mat1 and mat2",
        ),
        (Numbers, "gave a int as 'output_1', not a tensor"),
    ],
)
def test_a_module_that_does_not_fit_is_told(data, module, message):
    with pytest.raises(InputError, match=message):
        describe_module(module(), data)


@pytest.mark.parametrize("key", FAMILIES.keys())
def test_families_of_our_own_say_that_they_take_one_tensor(data, key):
    reason = FAMILIES.get(key).fits(data.signature, data.task)
    assert reason == (
        f"{key} takes one float32 tensor of one shape, got x float32 [time, 2], codes int64 [4], "
        "time_lengths int64."
    )


@pytest.mark.parametrize("family", [None, "linear"])
def test_training_without_a_module_names_what_would_fit(data, context, family):
    with pytest.raises(UnsupportedError, match="cannot learn from") as caught:
        train(context, TrainConfig(family=family), data)
    assert "No family fits; a module of your own does: wb.train(data, module)" in caught.value.hint


def test_codes_alone_reach_an_embedding(store, context):
    codes = np.random.default_rng(0).integers(0, 10, (40, 4))
    targets = np.array(["even", "odd"])[codes[:, 0] % 2]
    data = load(store, "arrays", inputs={"codes": codes}, targets=targets)
    net = nn.Sequential(nn.Embedding(10, 4), nn.Flatten(), nn.Linear(16, 2))
    trained = train(context, TrainConfig(epochs=2, threads=1), data, module=net)
    assert trained.description.signature.inputs == (TensorSpec("codes", "int64", ("batch", 4)),)


def test_texts_cannot_go_into_a_module(store):
    inputs = {"x": np.ones((20, 2), np.float32), "words": np.array(["a", "b"] * 10)}
    data = load(store, "arrays", inputs=inputs, targets=np.arange(20) % 3 / 2)
    assert [s.name for s in describe_module(OneTensor(), data).signature.inputs] == ["x"]
    with pytest.raises(InputError, match="would get 'words': texts"):
        describe_module(InOrder(), data)


class OneTensor(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.Linear(2, 1)

    def forward(self, x):
        return self.head(x)


def test_no_test_split_and_one_sample_batches_work(store, context):
    x = [np.ones((1 + i % 3, 2), np.float32) * i for i in range(20)]
    inputs = {"x": x, "words": np.array(["a", "bc"] * 10)}
    targets = np.arange(20.0) / 7
    data = load(store, "arrays", inputs=inputs, targets=targets, split=(0.8, 0.2, 0.0))
    assert len(data.test) == 0
    config = TrainConfig(epochs=1, batch_size=1, threads=1)
    assert train(context, config, data, module=Few()).metrics["val_loss"] > 0
