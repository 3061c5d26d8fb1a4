"""A quick look at a module of the user's own before an hour is spent on it."""

from __future__ import annotations

import traceback
from pathlib import Path

import torch
from torch import nn

from workbench.core.errors import InputError
from workbench.engine.tensors import device_of, output_tensor

_BATCH = 3
_TORCH = Path(torch.__file__).parent


def check_module(
    module: nn.Module, sample_shape: tuple[int, ...], outputs: tuple[int, ...]
) -> None:
    """Runs a batch of zeros through `module`, which gives lazy layers their sizes.

    Args:
        module: Should take float32 [N, *sample_shape].
        sample_shape: Shape of one prepared sample.
        outputs: Shape of the answer to one sample.

    Raises:
        InputError: The module fails, with the line, or gives another shape.
    """
    got = _output_shape(module, sample_shape)
    wanted = (_BATCH, *outputs)
    if got == wanted or (outputs == (1,) and got == (_BATCH,)):
        return
    raise InputError(
        f"For {_BATCH} samples of shape {sample_shape} the module gave an output of shape "
        f"{got}; {wanted} is needed.",
        hint=_hint(outputs),
    )


def _hint(outputs: tuple[int, ...]) -> str:
    if len(outputs) > 1:
        return f"The last layer should keep the places and have {outputs[0]} channels."
    return (
        "Flatten with nn.Flatten() (it keeps the batch) and give the last layer "
        f"{outputs[0]} output{'s' if outputs[0] > 1 else ''}."
    )


def _output_shape(module: nn.Module, sample_shape: tuple[int, ...]) -> tuple[int, ...]:
    was_training = module.training
    module.eval()
    try:
        with torch.no_grad():
            inputs = torch.zeros(_BATCH, *sample_shape, device=device_of(module))
            return tuple(output_tensor(module(inputs)).shape)
    except (RuntimeError, TypeError, ValueError, IndexError, AttributeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"The module failed on {_BATCH} samples of shape {sample_shape}{place_of(error)}: "
            f"{error}",
            hint=f"It should take float32 tensors of shape (N, {str(sample_shape)[1:]}.",
        ) from error
    finally:
        module.train(was_training)


def place_of(error: Exception) -> str:
    """Returns " in <file>, line <n>" for the deepest line that is not torch's own."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if _TORCH not in Path(f.filename).parents and f.filename != __file__]
    return f" in {Path(own[-1].filename).name}, line {own[-1].lineno}" if own else ""
