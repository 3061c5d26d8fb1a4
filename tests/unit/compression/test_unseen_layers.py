"""Networks whose layers cannot all be probed: the band is wider there, not wrong."""

from __future__ import annotations

import functools

import pytest
import torch
from torch import nn

from tests.unit.compression.trained import digits, home
from workbench.compression.estimator import Estimator
from workbench.compression.study import StudyEngine
from workbench.flow.importing import import_model

pytestmark = pytest.mark.full


class Rows(nn.Module):
    """Reads an image row by row."""

    def __init__(self) -> None:
        super().__init__()
        self.rows = nn.LSTM(8, 24, batch_first=True)
        self.head = nn.Linear(24, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(self.rows(images.squeeze(1))[0][:, -1])


class Attention(nn.Module):
    """One block of a BERT over the rows of an image."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(8, 16)
        self.block = nn.TransformerEncoderLayer(16, 2, 32, 0.0, batch_first=True)
        self.head = nn.Linear(16, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(self.block(self.embed(images.squeeze(1))).mean(1))


@functools.cache
def estimator(kind: type[nn.Module]) -> Estimator:
    torch.manual_seed(0)
    module = trained(kind())
    run = import_model(home(), module, digits(), loss=None, metric=None)
    engine = StudyEngine(home(), home().artifacts.get(run.outputs["model"]), digits(), module)
    return Estimator(engine, samples=16)


def trained(module: nn.Module) -> nn.Module:
    inputs, targets = map(torch.as_tensor, digits().train.batch(range(len(digits().train))))
    steps = torch.optim.Adam(module.parameters(), 0.01)
    for _ in range(60):
        steps.zero_grad()
        nn.functional.cross_entropy(module(inputs), targets.long()).backward()
        steps.step()
    return module.eval()


def test_an_lstm_is_not_said_to_bear_pruning_that_nobody_looked_at():
    said = estimator(Rows).estimate("prune:0.9")
    measured = estimator(Rows).engine.measure("prune:0.9")
    assert said.score.low <= measured.score <= said.score.high
    assert said.score.low < 0.3
    assert "cannot be looked into" in said.reason
    assert "looked into" not in estimator(Rows).estimate({"head": "prune:0.9"}).reason


@pytest.mark.parametrize("recipe", ["prune:0.3", "prune:0.9", "quantize_weights:4"])
def test_attention_is_estimated_though_one_of_its_weights_is_read_without_a_call(recipe):
    said = estimator(Attention).estimate(recipe)
    measured = estimator(Attention).engine.measure(recipe)
    assert said.score.low <= measured.score <= said.score.high
