"""The verbs as functions, on the workspace that the current folder belongs to."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

from workbench.flow.workspace import Workspace
from workbench.store.home import find_home

F = TypeVar("F", bound=Callable[..., Any])


@functools.lru_cache(maxsize=8)
def _workspace_at(root: Path) -> Workspace:
    return Workspace(root)


def default_workspace() -> Workspace:
    """Returns the workspace that the current folder belongs to."""
    return _workspace_at(find_home().root)


def _verb(method: F) -> F:
    @functools.wraps(method)
    def verb(*args: Any, **kwargs: Any) -> Any:
        return method(default_workspace(), *args, **kwargs)

    signature = inspect.signature(method)
    verb.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=list(signature.parameters.values())[1:]
    )
    verb.__module__ = "workbench"
    verb.__qualname__ = method.__name__
    return cast(F, verb)


compress = _verb(Workspace.compress)
delete = _verb(Workspace.delete)
endpoint = _verb(Workspace.endpoint)
endpoints = _verb(Workspace.endpoints)
evaluate = _verb(Workspace.evaluate)
export = _verb(Workspace.export)
gc = _verb(Workspace.gc)
import_model = _verb(Workspace.import_model)
load = _verb(Workspace.load)
models = _verb(Workspace.models)
promote = _verb(Workspace.promote)
register = _verb(Workspace.register)
rollback = _verb(Workspace.rollback)
run = _verb(Workspace.run)
runs = _verb(Workspace.runs)
serve = _verb(Workspace.serve)
study = _verb(Workspace.study)
train = _verb(Workspace.train)
verify = _verb(Workspace.verify)
version = _verb(Workspace.version)
