"""Modules of our own that load on first use, so that a command or a verb pays for what it needs."""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any


class LazyModule:
    """Stands for a module; the first attribute read imports it.

    Args:
        name: Dotted name of one of our own modules.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._module: ModuleType | None = None

    def __getattr__(self, attribute: str) -> Any:
        if self._module is None:
            self._module = importlib.import_module(self._name)
        return getattr(self._module, attribute)

    def __repr__(self) -> str:
        return f"LazyModule({self._name!r})"


def lazy(name: str) -> Any:
    """Returns a stand-in for the module `name`, for use beside an import under TYPE_CHECKING."""
    return LazyModule(name)
