"""Dialects: one file each, named by what it speaks."""

from workbench.core.plugins import Registry
from workbench.serving.protocol import Dialect

PROTOCOLS: Registry[Dialect] = Registry("protocols", __name__, Dialect)  # type: ignore[type-abstract]

__all__ = ["PROTOCOLS"]
