"""Engines: one file each, named by what it runs."""

from workbench.core.plugins import Registry
from workbench.serving.engine import Engine

ENGINES: Registry[Engine] = Registry("engines", __name__, Engine)  # type: ignore[type-abstract]

__all__ = ["ENGINES"]
