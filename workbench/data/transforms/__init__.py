"""Augmentations of training batches: a file here is a transform, its name is the key. No torch."""

from workbench.core.plugins import Registry
from workbench.data.transform import Transform

TRANSFORMS: Registry[Transform] = Registry("transforms", __name__, Transform)  # type: ignore[type-abstract]

__all__ = ["TRANSFORMS"]
