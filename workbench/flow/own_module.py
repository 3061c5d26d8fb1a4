"""Modules of the user's own: trained weights into a live module, and the module into ONNX."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import safetensors.torch

from workbench.core.ids import digest_bytes
from workbench.core.module_call import Taken
from workbench.core.optional import require
from workbench.core.records import Description
from workbench.families.network import Answering, Named, Normalized
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
    content = {_WEIGHTS: safetensors.torch.save(state)}
    weights = store.artifacts.save("weights", content, _meta(network))
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
    artifact = store.artifacts.get(weights)
    state = safetensors.torch.load_file(store.artifacts.path(artifact, _WEIGHTS))
    if not isinstance(own, Answering):
        own = _wrapped(own, state, artifact.meta)
    own.load_state_dict(state)
    return own.eval()


_TAKES = "takes"
_TARGETS = ("target_mean", "target_std")
_NORMALIZATION = ("mean", "std", *_TARGETS)


def _meta(network: nn.Module) -> dict[str, Any]:
    """Returns what must be known beside the weights to wrap the user's module again."""
    return {_TAKES: asdict(network.inner)} if isinstance(network, Named) else {}


def _wrapped(own: nn.Module, state: Mapping[str, Any], meta: Mapping[str, Any]) -> nn.Module:
    """Returns the module in the wrapper that it was trained in, if it was."""
    if _TAKES in meta:
        takes = Taken(tuple(meta[_TAKES]["names"]), meta[_TAKES]["by_name"])
        return Named(own, takes, **{k: state[k].numpy() for k in _TARGETS if k in state})
    if "mean" in state and "mean" not in own.state_dict():
        return Normalized(own, **{k: state[k].numpy() for k in _NORMALIZATION if k in state})
    return own
