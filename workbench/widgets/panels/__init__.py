"""The panels, one for each kind of record. A new one is a new file here."""

from workbench.core.shown import PANELS, Panel

__all__ = ["PANELS", "Panel"]
