"""Optimizers and their state as plain tensors."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from workbench.core.errors import InputError
from workbench.engine.config import FitConfig


def make_optimizer(model: nn.Module, config: FitConfig) -> torch.optim.Optimizer:
    """Returns the optimizer over all parameters that want a gradient.

    Weight decay acts on matrices and kernels only, not on biases and norms.

    Raises:
        InputError: No parameter wants a gradient.
    """
    trained = [p for p in model.parameters() if p.requires_grad]
    if not trained:
        raise InputError(
            "The model has no parameter to train.",
            hint="Set requires_grad on the parameters that should learn.",
        )
    groups = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    if config.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=config.rate, fused=True)
    nesterov = config.nesterov and config.momentum > 0
    return torch.optim.SGD(
        groups, lr=config.rate, momentum=config.momentum, nesterov=nesterov, fused=True
    )


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Sets the learning rate of all groups."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    """Returns copies of the optimizer's tensors by "<parameter number>.<name>"."""
    state = optimizer.state_dict()["state"]
    return {
        f"{number}.{name}": value.detach().clone()
        for number, values in state.items()
        for name, value in values.items()
        if isinstance(value, torch.Tensor)
    }


def restore_optimizer(
    optimizer: torch.optim.Optimizer, tensors: Mapping[str, torch.Tensor]
) -> None:
    """Puts back what `optimizer_tensors` gave; options stay those of `optimizer`."""
    state: dict[int, dict[str, torch.Tensor]] = {}
    for key, value in tensors.items():
        number, name = key.split(".", 1)
        state.setdefault(int(number), {})[name] = value.clone()
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})
