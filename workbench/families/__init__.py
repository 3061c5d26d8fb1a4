"""Families: networks of our own, each one file. Listing them imports no torch."""

from workbench.core.plugins import Registry
from workbench.families._family import Family

FAMILIES: Registry[Family] = Registry("families", __name__, Family)  # type: ignore[type-abstract]

__all__ = ["FAMILIES", "Family"]
