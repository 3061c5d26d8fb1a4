"""How values become tensors: a file here is a modality, its name is the key. No torch."""

from workbench.core.plugins import Registry
from workbench.data.modality import Modality

MODALITIES: Registry[Modality] = Registry("modalities", __name__, Modality)  # type: ignore[type-abstract]

__all__ = ["MODALITIES"]
