"""The torch side of families: modules, and their way to and from disk. Imports torch."""

from workbench.families.network.answering import Answering
from workbench.families.network.named import Named
from workbench.families.network.normalized import Normalized
from workbench.families.network.storage import (
    build_network,
    load_network,
    read_network,
    save_network,
)

__all__ = [
    "Answering",
    "Named",
    "Normalized",
    "build_network",
    "load_network",
    "read_network",
    "save_network",
]
