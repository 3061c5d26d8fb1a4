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
        delete,
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

_DOORS = {
    "workbench.core.errors": (
        "ConflictError",
        "InputError",
        "IntegrityError",
        "NotFoundError",
        "RunFailedError",
        "StateError",
        "WorkbenchError",
    ),
    "workbench.flow.verbs": (
        "delete",
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
    ),
    "workbench.flow.workspace": ("Workspace",),
    "workbench.widgets.app": ("app",),
}
_HOME = {name: module for module, names in _DOORS.items() for name in names}

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
    "delete",
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


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'workbench' has no attribute '{name}'")
    value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
