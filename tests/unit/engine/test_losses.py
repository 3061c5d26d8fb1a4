import numpy as np
import pytest
import torch

from workbench.core.errors import InputError
from workbench.engine.losses import balanced_weights
from workbench.tasks import TASKS, LossOptions


def make_loss(task, **options):
    return TASKS.get(task).loss(LossOptions(**options))


def test_a_column_of_outputs_does_not_broadcast_against_a_row_of_targets():
    loss = make_loss("regression")
    outputs, targets = torch.tensor([[1.0], [2.0], [3.0]]), torch.tensor([1.0, 2.0, 5.0])
    assert loss(outputs, targets).item() == pytest.approx(4 / 3)
    assert loss(outputs[:, 0], targets).item() == pytest.approx(4 / 3)
    with pytest.raises(InputError, match=r"\(3, 2\).*targets of shape \(3,\)"):
        loss(torch.zeros(3, 2), targets)
    with pytest.raises(InputError, match="mixes samples"):
        make_loss("classification")(torch.zeros(1, 4), torch.tensor([0, 1, 2]))


def test_the_targets_unit_does_not_change_the_loss():
    outputs, targets = torch.tensor([1.0, 2.0]), torch.tensor([1.5, 1.0])
    kilo = make_loss("regression", target_std=1000.0)
    assert kilo(1000 * outputs, 1000 * targets) == make_loss("regression")(outputs, targets)


def test_balanced_weights_make_each_class_weigh_the_same():
    weights = balanced_weights(np.array([90, 10, 0]))
    assert weights[2] == 0
    assert 90 * weights[0] == pytest.approx(10 * weights[1])


def test_class_weights_move_the_loss_towards_the_rare_class():
    outputs, targets = torch.tensor([[2.0, 0.0], [2.0, 0.0]]), torch.tensor([0, 1])
    plain = make_loss("classification")(outputs, targets)
    weighted = make_loss("classification", class_weights=(1.0, 9.0))(outputs, targets)
    assert weighted > plain


def test_label_smoothing_punishes_certainty():
    outputs, targets = torch.tensor([[9.0, 0.0]]), torch.tensor([0])
    smooth = make_loss("classification", label_smoothing=0.1)
    assert smooth(outputs, targets) > make_loss("classification")(outputs, targets)
