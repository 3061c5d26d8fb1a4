"""The bridge between a torch module and named NumPy arrays. The only place that needs torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.core import optional
from workbench.core.batch import Batch, each
from workbench.core.module_call import OUTPUT, arguments, named_outputs

if TYPE_CHECKING:
    from torch import nn

_FOR = "working on a PyTorch model"


def state_of(module: nn.Module) -> dict[str, np.ndarray]:
    """Returns copies of all parameters and buffers by name."""
    return {
        name: value.detach().cpu().numpy().copy() for name, value in module.state_dict().items()
    }


def batch_norms_of(module: nn.Module) -> dict[str, float]:
    """Returns the epsilon of each BatchNorm layer that keeps statistics, by name."""
    base = optional.require("torch.nn.modules.batchnorm", for_=_FOR)._BatchNorm
    return {
        name: float(part.eps)
        for name, part in module.named_modules()
        if isinstance(part, base) and part.track_running_stats
    }


def predictor(
    module: nn.Module, state: Mapping[str, np.ndarray] | None = None
) -> Callable[[np.ndarray], np.ndarray]:
    """Returns `module`, optionally with other weights, as a function of batches to one output.

    That is the one which its task scores.
    """
    every = answerer(module, state)
    return lambda batch: every(batch)[OUTPUT]


def answerer(
    module: nn.Module, state: Mapping[str, np.ndarray] | None = None
) -> Callable[[Batch], dict[str, np.ndarray]]:
    """Returns `module`, optionally with other weights, as a function of batches to all outputs."""
    torch = optional.require("torch", for_=_FOR)
    functional_call = optional.require("torch.func", for_=_FOR).functional_call
    weights = (
        None if state is None else {k: torch.from_numpy(np.array(v)) for k, v in state.items()}
    )

    def answer(batch: Batch) -> dict[str, np.ndarray]:
        tensors: Any = each(lambda array: torch.from_numpy(np.ascontiguousarray(array)), batch)
        args, kwargs = arguments(module, tensors)
        with torch.inference_mode(), evaluating(module):
            given = functional_call(module, weights or {}, args, kwargs)
        return {name: np.asarray(value.numpy()) for name, value in named_outputs(given).items()}

    return answer


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Puts every part of `module` in evaluation mode for the block, then back as it was."""
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for part, mode in modes:
            part.training = mode


def perturbed(state: Mapping[str, np.ndarray], seed: int) -> dict[str, np.ndarray]:
    """Returns a state with every float tensor changed by about a tenth; variances stay positive."""
    rng = np.random.default_rng(seed)
    return {name: _perturb(name, value, rng) for name, value in state.items()}


def _perturb(name: str, value: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    if not np.issubdtype(value.dtype, np.floating):
        return value
    factor = rng.uniform(0.85, 1.15, value.shape)
    shift = np.zeros(value.shape)
    if not name.endswith("running_var"):
        shift = rng.normal(size=value.shape) * 0.05 * (float(value.std()) or 0.5)
    return np.asarray(value * factor + shift, value.dtype)
