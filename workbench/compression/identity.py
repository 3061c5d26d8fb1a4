"""What the results of a study depend on besides data and recipe: model, loss, libraries."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from workbench.core import optional
from workbench.core.errors import InputError
from workbench.core.ids import digest_bytes, digest_json
from workbench.core.records import Description
from workbench.store import Artifact

if TYPE_CHECKING:
    from torch import nn

_LIBRARIES = ("torch", "onnx", "onnxruntime", "numpy", "torch-pruning")


def library_versions() -> dict[str, str]:
    """Returns the versions that a variant's bytes and figures depend on."""
    found = {"python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "none"
    return found


def checked_description(model: Artifact) -> Description:
    """Returns what a model says of itself.

    Raises:
        InputError: The artifact is no model.
    """
    if model.kind not in {"network", "onnx"}:
        raise InputError(
            f"A study needs a model, got a {model.kind} artifact ({model.digest[:12]}).",
            hint="Give a trained run, an imported model, or an ONNX file.",
        )
    return Description.from_json(model.meta["description"])


def identity_of(model: Artifact, module: nn.Module, loss: Any) -> str:
    """Returns the digest of a model whose live module (and own loss) may differ from its file."""
    state_of = optional.require("workbench.exporting.state", for_="reading weights").state_of
    parts = [(name, digest_bytes(value.tobytes())) for name, value in state_of(module).items()]
    own_loss = None
    if loss is not None:
        pickled = optional.require("cloudpickle", for_="a loss of one's own").dumps(loss)
        own_loss = digest_bytes(pickled)
    weights = [list(part) for part in parts]
    return digest_json({"model": model.digest, "weights": weights, "loss": own_loss})
