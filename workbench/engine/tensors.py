"""Between NumPy batches and torch tensors, without a copy where that is possible."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from workbench.core.errors import InputError
from workbench.tasks import TASKS


def input_tensor(array: Any, device: torch.device) -> torch.Tensor:
    """Returns float32 inputs on `device`; shares memory with a writeable float32 array."""
    return _tensor(array, torch.float32).to(device)


def target_tensor(array: Any, task: str, device: torch.device) -> torch.Tensor:
    """Returns targets [N, …] of a task on `device`; [N, 1] is [N]."""
    is_whole = "int" in str(getattr(array, "dtype", np.asarray(array).dtype))
    dtype = TASKS.get(task).dtype or ("int64" if is_whole else "float32")
    tensor = _tensor(array, getattr(torch, dtype))
    if tensor.ndim == 2 and tensor.shape[1] == 1:
        tensor = tensor[:, 0]
    return tensor.to(device)


def output_tensor(output: Any) -> torch.Tensor:
    """Returns the tensor a model gave; an object with `.logits` (transformers) gives those.

    Raises:
        InputError: The model gave something else.
    """
    output = getattr(output, "logits", output)
    if not isinstance(output, torch.Tensor):
        raise InputError(
            f"The model's forward gave a {type(output).__name__}, not a tensor.",
            hint="Wrap the model in a module whose forward returns one tensor (N, outputs).",
        )
    return output


def device_of(model: nn.Module) -> torch.device:
    """Returns where the model's first parameter or buffer lies; the CPU if it has none."""
    for tensor in (*model.parameters(), *model.buffers()):
        return tensor.device
    return torch.device("cpu")


def _tensor(array: Any, dtype: torch.dtype) -> torch.Tensor:
    if isinstance(array, torch.Tensor):
        return array.to(dtype)
    array = np.asarray(array)
    if not array.flags.writeable or not array.flags.c_contiguous:
        array = array.copy()
    return torch.from_numpy(array).to(dtype)
