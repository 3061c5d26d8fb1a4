"""The exporters. A new one is a new file here."""

from workbench.core.plugins import Registry
from workbench.exporting.exporter import Exporter

EXPORTERS: Registry[Exporter] = Registry("exporters", __name__, Exporter)  # type: ignore[type-abstract]
