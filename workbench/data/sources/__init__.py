"""Where data comes from: a file here is a source, its name is the key."""

from workbench.core.plugins import Registry
from workbench.data.source import Source

SOURCES: Registry[Source] = Registry("sources", __name__, Source)  # type: ignore[type-abstract]

__all__ = ["SOURCES"]
