"""The error of outputs and targets that would silently broadcast."""

from __future__ import annotations

import torch

from workbench.core.errors import InputError


def misfit(wanted: str, outputs: torch.Tensor, targets: torch.Tensor) -> InputError:
    """Returns the error; `wanted` says which shapes are needed."""
    return InputError(
        f"The model's outputs have shape {tuple(outputs.shape)} for targets of shape "
        f"{tuple(targets.shape)}; {wanted} are needed.",
        hint="Check the last layer, and that nothing in the model mixes samples of a batch.",
    )
