"""Modules that may be missing or are heavy: imported on first use, with words when absent."""

from __future__ import annotations

import importlib
import importlib.util
from types import ModuleType

from workbench.core.errors import MissingDependencyError


def is_installed(module: str) -> bool:
    """Returns whether `module` could be imported, without importing it."""
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def require(module: str, *, for_: str, extra: str | None = None) -> ModuleType:
    """Imports `module`, or says what it is needed for and how to install it.

    Args:
        module: Dotted module name.
        for_: What the user wanted, as in "explanations".
        extra: The extra of this distribution that brings the module.

    Raises:
        MissingDependencyError: The module is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.split(".")[0] != module.split(".")[0]:
            raise
        package = f"'maas-workbench[{extra}]'" if extra else module.split(".")[0]
        raise MissingDependencyError(
            f"The module '{module}', needed for {for_}, is not installed.",
            hint=f"Install it with: pip install {package}",
            context={"module": module, "extra": extra},
        ) from error
