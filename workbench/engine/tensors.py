"""Between NumPy batches and torch tensors, without a copy where that is possible."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from workbench.core.errors import InputError
from workbench.core.module_call import OUTPUT, named_outputs
from workbench.tasks import TASKS


def input_tensors(batch: Any, device: torch.device) -> Any:
    """Returns a batch's tensors on `device`, one or several by name, each of its own type.

    They share memory with writeable arrays. Texts stay arrays: no network takes them.
    """
    if isinstance(batch, Mapping):
        return {name: input_tensors(tensor, device) for name, tensor in batch.items()}
    is_text = getattr(getattr(batch, "dtype", None), "kind", "") == "U"
    return batch if is_text else _tensor(batch).to(device)


def model_inputs(batch: Any, model: nn.Module) -> Any:
    """Returns what `input_tensors` does, where `model` lies; a single tensor of floats in its type.

    So an array of float64, as NumPy makes them, goes into a network of float32 weights.
    """
    tensors = input_tensors(batch, device_of(model))
    if isinstance(tensors, torch.Tensor) and tensors.is_floating_point():
        return tensors.to(_float_type(model))
    return tensors


def target_tensor(array: Any, task: str, device: torch.device) -> torch.Tensor:
    """Returns targets [N, …] of a task on `device`; [N, 1] is [N]."""
    is_whole = "int" in str(getattr(array, "dtype", np.asarray(array).dtype))
    dtype = TASKS.get(task).dtype or ("int64" if is_whole else "float32")
    tensor = _tensor(array, getattr(torch, dtype))
    if tensor.ndim == 2 and tensor.shape[1] == 1:
        tensor = tensor[:, 0]
    return tensor.to(device)


def output_tensor(output: Any) -> torch.Tensor:
    """Returns the tensor that the task scores, of what a model gave: see `named_outputs`.

    Raises:
        InputError: It is no tensor.
    """
    output = output if isinstance(output, torch.Tensor) else named_outputs(output)[OUTPUT]
    if not isinstance(output, torch.Tensor):
        raise InputError(
            f"The model's forward gave a {type(output).__name__}, not a tensor.",
            hint="Return a tensor (N, outputs), alone or as the first of several.",
        )
    return output


def device_of(model: nn.Module) -> torch.device:
    """Returns where the model's first parameter or buffer lies; the CPU if it has none."""
    for tensor in (*model.parameters(), *model.buffers()):
        return tensor.device
    return torch.device("cpu")


def _float_type(model: nn.Module) -> torch.dtype:
    floats = (p.dtype for p in model.parameters() if p.is_floating_point())
    return next(floats, torch.float32)


def _tensor(array: Any, dtype: torch.dtype | None = None) -> torch.Tensor:
    if not isinstance(array, torch.Tensor):
        array = np.asarray(array)
        if not array.flags.writeable or not array.flags.c_contiguous:
            array = array.copy()
        array = torch.from_numpy(array)
    tensor: torch.Tensor = array if dtype is None else array.to(dtype)
    return tensor
