"""BatchNorm statistics after weights have changed: estimated anew on training samples.

One-shot pruning of a ResNet shifts every activation, and the stored means and variances no longer
fit; adaptive BatchNorm repairs it without training (Li et al. 2020, EagleEye, arXiv:2007.02491).
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.core import optional
from workbench.core.batch import Batch, count, each, rows
from workbench.core.module_call import call

if TYPE_CHECKING:
    from torch import nn

SAMPLES = 512
_BATCH = 128
_FOR = "re-estimating BatchNorm"


def has_batch_norm(module: nn.Module) -> bool:
    """Returns whether any layer keeps BatchNorm statistics."""
    return any(True for _ in _norms(module))


def reestimated(
    module: nn.Module, state: Mapping[str, np.ndarray], inputs: Batch
) -> dict[str, np.ndarray]:
    """Returns `state` with the BatchNorm statistics that `inputs` give.

    All other layers stay in evaluation mode. Statistics are the plain average over batches.

    Args:
        module: The network; it is copied, not changed.
        state: Its tensors, with changed weights.
        inputs: Training inputs [N, …]; at least 512 are advised.
    """
    torch = optional.require("torch", for_=_FOR)
    twin = with_state(module, state)
    for norm in _norms(twin):
        norm.reset_running_stats()
        norm.momentum = None
        norm.train()
    with torch.no_grad():
        for batch in _batches(inputs):
            call(twin, each(torch.from_numpy, batch))
    fresh = {name: value.detach().numpy() for name, value in twin.state_dict().items()}
    statistics = ("running_mean", "running_var")
    return {
        name: fresh[name].copy() if name.endswith(statistics) else value
        for name, value in state.items()
    }


def with_state(module: nn.Module, state: Mapping[str, np.ndarray]) -> nn.Module:
    """Returns a copy of `module` with other tensors, in evaluation mode."""
    torch = optional.require("torch", for_=_FOR)
    twin = copy.deepcopy(module).eval()
    twin.load_state_dict({name: torch.from_numpy(np.array(v)) for name, v in state.items()})
    return twin


def _norms(module: nn.Module) -> Iterator[Any]:
    base = optional.require("torch.nn.modules.batchnorm", for_=_FOR)._BatchNorm
    for part in module.modules():
        if isinstance(part, base) and part.track_running_stats:
            yield part


def _batches(inputs: Batch) -> Iterator[Batch]:
    total = count(inputs)
    for part in np.array_split(np.arange(total), max(1, total // _BATCH)):
        yield each(np.ascontiguousarray, rows(inputs, slice(part[0], part[-1] + 1)))
