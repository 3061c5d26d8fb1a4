"""Modules of the user's own: trained weights into a live module, and the module into ONNX."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import safetensors.torch

from workbench.core.ids import digest_bytes
from workbench.core.optional import require
from workbench.core.records import Description
from workbench.families.network import Normalized
from workbench.flow.exports import export_module
from workbench.store import Artifact, Context, Store

if TYPE_CHECKING:
    from torch import nn

    from workbench.data.dataset import Dataset

_WEIGHTS = "weights.safetensors"


def save_own(
    store: Store,
    context: Context,
    network: nn.Module,
    description: Description,
    dataset: Dataset,
    meta: Mapping[str, Any] | None = None,
) -> Artifact:
    """Saves a module as ONNX and its weights, as outputs "model" and "weights" of the run."""
    artifact = export_module(store, network, description, dataset, meta)
    context.output("model", artifact)
    state = {k: v.detach().cpu().contiguous().clone() for k, v in network.state_dict().items()}
    weights = store.artifacts.save("weights", {_WEIGHTS: safetensors.torch.save(state)}, {})
    context.output("weights", weights)
    return artifact


def digest_of(code: Any) -> str:
    """Returns the digest of a function or object of the user's own."""
    pickled: bytes = require("cloudpickle", for_="code from a cell").dumps(code)
    return digest_bytes(pickled)


def trained(store: Store, module: nn.Module, weights: str | None) -> nn.Module:
    """Returns a copy of the user's module that holds the weights a run ended with.

    Args:
        store: The workspace.
        module: The live module, as it was given.
        weights: Digest of the weights; None gives the module as it is.
    """
    own = copy.deepcopy(module)
    if weights is None:
        return own.eval()
    path = store.artifacts.path(store.artifacts.get(weights), _WEIGHTS)
    state = safetensors.torch.load_file(path)
    if not isinstance(own, Normalized) and "mean" in state and "mean" not in own.state_dict():
        own = Normalized(own, **{k: state[k].numpy() for k in _NORMALIZATION if k in state})
    own.load_state_dict(state)
    return own.eval()


_NORMALIZATION = ("mean", "std", "target_mean", "target_std")
