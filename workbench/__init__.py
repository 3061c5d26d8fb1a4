"""The public door: verbs of the workbench, resolved on first use so that importing it is cheap."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from workbench.core.errors import (
        ConflictError,
        InputError,
        IntegrityError,
        NotFoundError,
        RunFailedError,
        StateError,
        WorkbenchError,
    )
    from workbench.flow.verbs import (
        compress,
        delete,
        endpoint,
        endpoints,
        evaluate,
        export,
        gc,
        import_model,
        load,
        models,
        promote,
        register,
        rollback,
        run,
        runs,
        serve,
        study,
        train,
        verify,
        version,
    )
    from workbench.flow.workspace import Workspace
    from workbench.widgets.app import app

_ELSEWHERE = {"Workspace": "workbench.flow.workspace", "app": "workbench.widgets.app"}

__all__ = [
    "ConflictError",
    "InputError",
    "IntegrityError",
    "NotFoundError",
    "RunFailedError",
    "StateError",
    "WorkbenchError",
    "Workspace",
    "app",
    "compress",
    "delete",
    "endpoint",
    "endpoints",
    "evaluate",
    "export",
    "gc",
    "import_model",
    "load",
    "models",
    "promote",
    "register",
    "rollback",
    "run",
    "runs",
    "serve",
    "study",
    "train",
    "verify",
    "version",
]


def _home_of(name: str) -> str:
    if name in _ELSEWHERE:
        return _ELSEWHERE[name]
    return "workbench.core.errors" if name.endswith("Error") else "workbench.flow.verbs"


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'workbench' has no attribute '{name}'")
    value = getattr(importlib.import_module(_home_of(name)), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
