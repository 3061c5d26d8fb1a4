"""From a torch module to an ONNX file that is proven to answer alike."""

from workbench.exporting.exporter import Exporter
from workbench.exporting.exporters import EXPORTERS
from workbench.exporting.fold_map import FoldMap
from workbench.exporting.parity import Parity, ParityError
from workbench.exporting.step import Exported, export, export_samples

__all__ = [
    "EXPORTERS",
    "Exported",
    "Exporter",
    "FoldMap",
    "Parity",
    "ParityError",
    "export",
    "export_samples",
]
