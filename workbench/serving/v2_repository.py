"""V2's model repository extension, for HTTP and gRPC: what may be asked, by whom, of which model.

Source: extension_model_repository.md in
https://github.com/triton-inference-server/server/tree/main/docs/protocol
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workbench.core.errors import InputError, UnsupportedError
from workbench.serving.asker import asker
from workbench.serving.loading import ModelControl, split_model
from workbench.serving.messages import Request
from workbench.serving.protocol import Endpoint
from workbench.serving.security import check_model
from workbench.serving.served import Served

_MEANINGLESS = ("unload_dependents",)  # no model here depends on another


async def load(
    endpoint: Endpoint, request: Request, model: str, parameters: Mapping[str, Any]
) -> list[Served]:
    """Serves a model; see `ModelControl.load`.

    Raises:
        ForbiddenError: The token is for other models.
        InputError: A parameter would bring a file or a configuration along.
        WorkbenchError: As `ModelControl.load`.
    """
    return await _checked(endpoint, request, model, parameters).load(model, by=asker(request))


async def unload(
    endpoint: Endpoint, request: Request, model: str, parameters: Mapping[str, Any]
) -> list[Served]:
    """Takes a model out; see `ModelControl.unload`.

    Raises:
        ForbiddenError: The token is for other models.
        WorkbenchError: As `ModelControl.unload`.
    """
    return await _checked(endpoint, request, model, parameters).unload(model, by=asker(request))


def models_of(endpoint: Endpoint) -> ModelControl:
    """Returns who loads and unloads.

    Raises:
        UnsupportedError: Nobody does.
    """
    if endpoint.models is None:
        raise UnsupportedError("The models of this endpoint are fixed.")
    return endpoint.models


def _checked(
    endpoint: Endpoint, request: Request, model: str, parameters: Mapping[str, Any]
) -> ModelControl:
    check_model(request.token, split_model(model)[0])
    unknown = [name for name in parameters if name not in _MEANINGLESS]
    if unknown:
        raise InputError(
            f"Got the parameter '{unknown[0][:60]}'; only models of the registry are loaded, as "
            "they were registered.",
            hint=f"Name a version as in {split_model(model)[0]}@3, without parameters.",
        )
    return models_of(endpoint)
