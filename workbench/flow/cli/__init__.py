"""The command line: every verb as a command, each with `--json`."""

from __future__ import annotations

from workbench.flow.cli import batch, registry, road, serving
from workbench.flow.cli.app import app, main

__all__ = ["app", "batch", "main", "registry", "road", "serving"]
