"""The whole command line: the app with every group of commands registered."""

from __future__ import annotations

from workbench.flow.cli import (
    batch,
    compressing,
    containers,
    monitoring,
    registry,
    road,
    screens,
    serving,
    tokens,
)
from workbench.flow.cli.app import app, main

__all__ = [
    "app",
    "batch",
    "compressing",
    "containers",
    "main",
    "monitoring",
    "registry",
    "road",
    "screens",
    "serving",
    "tokens",
]

if __name__ == "__main__":
    main()
