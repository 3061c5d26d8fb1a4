"""From a torch module to an ONNX file that is proven to answer alike."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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

_HOME = {
    "EXPORTERS": "exporters",
    "Exported": "step",
    "Exporter": "exporter",
    "FoldMap": "fold_map",
    "Parity": "parity",
    "ParityError": "parity",
    "export": "step",
    "export_samples": "step",
}


def __getattr__(name: str) -> Any:
    """Imports a name on first use: methods are listed without sessions and stores."""
    if name not in _HOME:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
