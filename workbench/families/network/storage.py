"""Networks on disk: family config + pruning history (JSON) + safetensors. No pickle, ever."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import nn

from workbench.core.errors import IntegrityError, UnsupportedError
from workbench.core.ids import canonical_json
from workbench.core.optional import require
from workbench.core.records import Description
from workbench.families import FAMILIES
from workbench.families.network.normalized import Normalized

if TYPE_CHECKING:
    from workbench.store import Artifact, Store

KIND = "network"
_DESCRIPTION = "network.json"
_WEIGHTS = "weights.safetensors"
_FORMAT = 1
_TRACED_BATCH = 2


def save_network(
    store: Store,
    module: Normalized,
    description: Description,
    meta: Mapping[str, Any] | None = None,
) -> Artifact:
    """Saves a network of one of our families as an artifact of kind "network".

    Args:
        store: The workspace's store.
        module: The trained network.
        description: What it is; `description.family` must hold the family's saved config.
        meta: Further JSON-able facts for the artifact's `meta`.

    Raises:
        UnsupportedError: The module belongs to no family, so it could not be rebuilt.
    """
    files = network_files(module, description)
    return store.artifacts.save(KIND, files, {**(meta or {}), "description": description.to_json()})


def load_network(store: Store, artifact: Artifact) -> Normalized:
    """Rebuilds the network of an artifact, in evaluation mode on the CPU.

    Raises:
        IntegrityError: Its files do not belong together.
        UnsupportedError: It was written by a newer workbench.
    """
    return read_network(
        store.artifacts.path(artifact, _DESCRIPTION).read_bytes(),
        store.artifacts.path(artifact, _WEIGHTS).read_bytes(),
    )


def network_files(module: Normalized, description: Description) -> dict[str, bytes]:
    """Returns the two files of a network by name; equal networks give equal bytes."""
    if description.family is None or not isinstance(module, Normalized):
        raise UnsupportedError(
            f"A {type(module).__name__} without a family cannot be rebuilt from its weights.",
            hint="Export it: a model of one's own lives on as ONNX.",
        )
    text = {
        "format": _FORMAT,
        "description": description.to_json(),
        "pruning_history": _plain_history(module.pruning_history),
    }
    weights = {name: value.detach().cpu().contiguous() for name, value in _state(module).items()}
    return {_DESCRIPTION: canonical_json(text), _WEIGHTS: safetensors.torch.save(weights)}


def read_network(text: bytes, weights: bytes) -> Normalized:
    """Rebuilds a network from the two files that `network_files` gives."""
    saved = json.loads(text)
    if saved["format"] != _FORMAT:
        raise UnsupportedError(
            f"The network's format is {saved['format']}, this workbench reads {_FORMAT}.",
            hint="Update the workbench: pip install -U maas-workbench",
        )
    description = Description.from_json(saved["description"])
    try:
        state = safetensors.torch.load(weights)
    except SafetensorError as error:
        raise IntegrityError(f"The network's weights cannot be read: {error}.") from error
    module = _wrapped(build_network(description), state)
    replay(module, saved["pruning_history"], sample_shape(description))
    _load_state(module, state)
    return module.eval()


def build_network(description: Description) -> nn.Module:
    """Returns the freshly initialised, unpruned network that `description.family` names."""
    if description.family is None:
        raise UnsupportedError(
            "This model belongs to no family, so no network can be built from its description.",
            hint="Use its ONNX file.",
        )
    options = dict(description.family)
    kind, version = options.pop("kind"), options.pop("version")
    family = FAMILIES.get(kind)
    if version > family.Config.version:
        raise UnsupportedError(
            f"The config of family '{kind}' has version {version}, "
            f"this workbench reads up to {family.Config.version}.",
            hint="Update the workbench: pip install -U maas-workbench",
        )
    outputs = int(description.signature.outputs[0].shape[1])
    return family.build(FAMILIES.parse(kind, options), sample_shape(description), outputs)


def sample_shape(description: Description) -> tuple[int, ...]:
    """Returns the shape of one prepared sample, without the batch."""
    return tuple(int(size) for size in description.signature.inputs[0].shape[1:])


def replay(module: Normalized, history: Sequence[Any], shape: tuple[int, ...]) -> None:
    """Removes the channels that `history` names, as torch-pruning did it the first time.

    Args:
        module: The unpruned network; changed in place.
        history: Rows of (module name, is_output_side, channel indices).
        shape: Shape of one prepared sample.

    Raises:
        IntegrityError: The history names a module that the network does not have.
    """
    if not history:
        return
    known = dict(module.named_modules())
    unknown = [str(row[0]) for row in history if row[0] not in known]
    if unknown:
        raise IntegrityError(
            "The pruning history does not belong to this network.",
            problems=[f"it has no module '{name}'" for name in unknown],
        )
    pruning = require("torch_pruning", for_="rebuilding a pruned network")
    parameters_need_grad = [(p, p.requires_grad) for p in module.parameters()]
    module.eval()
    graph = pruning.DependencyGraph().build_dependency(
        module, example_inputs=torch.zeros(_TRACED_BATCH, *shape)
    )
    graph.load_pruning_history(_plain_history(history))
    for parameter, needs_grad in parameters_need_grad:
        parameter.requires_grad_(needs_grad)
    module.pruning_history = _plain_history(history)


def _plain_history(history: Sequence[Any]) -> list[Any]:
    return [[str(name), bool(out), [int(i) for i in rows]] for name, out, rows in history]


def _state(module: nn.Module) -> dict[str, torch.Tensor]:
    return dict(module.state_dict())


def _wrapped(net: nn.Module, state: Mapping[str, torch.Tensor]) -> Normalized:
    def values(name: str) -> Any:
        return state[name].numpy() if name in state else None

    if "mean" not in state or "std" not in state:
        raise IntegrityError("The network's weights lack its normalisation ('mean', 'std').")
    return Normalized(
        net, values("mean"), values("std"), values("target_mean"), values("target_std")
    )


def _load_state(module: nn.Module, state: Mapping[str, torch.Tensor]) -> None:
    expected = {name: tuple(value.shape) for name, value in _state(module).items()}
    got = {name: tuple(value.shape) for name, value in state.items()}
    problems = [
        f"{name}: expected {expected.get(name, 'nothing')}, got {got.get(name, 'nothing')}"
        for name in sorted({*expected, *got})
        if expected.get(name) != got.get(name)
    ]
    if problems:
        raise IntegrityError("The weights do not fit the network.", problems=problems)
    module.load_state_dict(state)
