"""A quick look at a module of the user's own before an hour is spent on it."""

from __future__ import annotations

import torch
from torch import nn

from workbench.core.errors import InputError
from workbench.core.records import Task
from workbench.engine.tensors import device_of, output_tensor

_BATCH = 3


def check_module(
    module: nn.Module, sample_shape: tuple[int, ...], outputs: int, task: Task
) -> None:
    """Runs a batch of zeros through `module` and checks what comes out.

    Args:
        module: Should take float32 [N, *sample_shape].
        sample_shape: Shape of one prepared sample.
        outputs: Classes, or 1 for regression.
        task: What is predicted.

    Raises:
        InputError: The outputs are not one row a sample with a value a class.
    """
    was_training = module.training
    module.eval()
    with torch.no_grad():
        inputs = torch.zeros(_BATCH, *sample_shape, device=device_of(module))
        output = output_tensor(module(inputs))
    module.train(was_training)
    wanted: list[tuple[int, ...]] = [(_BATCH, outputs)]
    if task == "regression":
        wanted.append((_BATCH,))
    if tuple(output.shape) not in wanted:
        raise InputError(
            f"For {_BATCH} samples of shape {sample_shape} the module gave an output of shape "
            f"{tuple(output.shape)}; {wanted[0]} is needed.",
            hint="Flatten with nn.Flatten() (it keeps the batch) and give the last layer "
            f"{outputs} outputs.",
        )
