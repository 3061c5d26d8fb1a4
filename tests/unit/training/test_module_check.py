import pytest
import torch
from torch import nn

from workbench.core.errors import InputError
from workbench.families.network import Normalized
from workbench.training.module_check import check_module


class Scalar(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(6, 1)

    def forward(self, rows):
        return self.layer(rows)[:, 0]


class Wrong(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(5, 3)

    def forward(self, rows):
        return self.layer(rows)


def test_a_fitting_module_is_left_as_it_was():
    module = nn.Sequential(nn.BatchNorm1d(6), nn.Linear(6, 3)).train()
    check_module(module, (6,), (3,))
    assert module.training
    assert module[0].num_batches_tracked == 0


def test_a_regression_without_a_column_gets_one():
    check_module(Scalar(), (6,), (1,))
    assert Normalized(Scalar(), 0.0, 1.0, 5.0, 2.0)(torch.zeros(4, 6)).shape == (4, 1)


def test_lazy_layers_get_their_size():
    module = nn.Sequential(nn.Flatten(), nn.LazyLinear(10))
    check_module(module, (1, 8, 8), (10,))
    assert module[1].weight.shape == (10, 64)


def test_a_module_that_merges_samples_is_refused():
    merging = nn.Sequential(nn.Flatten(0), nn.Linear(18, 3))
    with pytest.raises(InputError, match=r"shape \(3,\); \(3, 3\) is needed(.|\n)*keeps the batch"):
        check_module(merging, (6,), (3,))


def test_a_failing_module_is_named_with_its_line():
    line = Wrong.forward.__code__.co_firstlineno + 1
    with pytest.raises(InputError, match=rf"test_module_check.py, line {line}: mat1 and mat2"):
        check_module(Wrong(), (6,), (3,))
