"""The public door: verbs of the workbench, resolved on first use so that importing it is cheap."""

__version__ = "0.1.0"
