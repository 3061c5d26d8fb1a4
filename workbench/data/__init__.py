"""Second floor: any data → a fingerprinted, split, memory-mapped dataset. NumPy, no torch."""

from workbench.data.dataset import Dataset, Split, open_dataset
from workbench.data.load import load
from workbench.data.modalities import MODALITIES
from workbench.data.sources import SOURCES
from workbench.data.transforms import TRANSFORMS

__all__ = [
    "MODALITIES",
    "SOURCES",
    "TRANSFORMS",
    "Dataset",
    "Split",
    "load",
    "open_dataset",
]
