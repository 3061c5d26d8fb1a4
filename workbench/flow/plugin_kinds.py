"""All kinds of plug-ins, for lists: found without importing what is heavy or missing."""

from __future__ import annotations

import importlib
from typing import Any

from workbench.core.errors import unknown_name
from workbench.core.plugins import Registry

_KINDS = {
    "methods": ("workbench.compression.methods", "METHODS"),
    "families": ("workbench.families", "FAMILIES"),
    "sources": ("workbench.data.sources", "SOURCES"),
    "modalities": ("workbench.data.modalities", "MODALITIES"),
    "transforms": ("workbench.data.transforms", "TRANSFORMS"),
    "tasks": ("workbench.tasks", "TASKS"),
    "metrics": ("workbench.tasks.metrics", "METRICS"),
    "exporters": ("workbench.exporting.exporters", "EXPORTERS"),
    "engines": ("workbench.serving.engines", "ENGINES"),
    "protocols": ("workbench.serving.protocols", "PROTOCOLS"),
    "hosts": ("workbench.serving.hosts", "HOSTS"),
}


def kinds() -> list[str]:
    """Returns the names of all kinds."""
    return list(_KINDS)


def registry(kind: str) -> Registry[Any]:
    """Returns the registry of a kind.

    Raises:
        NotFoundError: There is no such kind.
    """
    if kind not in _KINDS:
        raise unknown_name("kind of plug-in", kind, _KINDS)
    module, name = _KINDS[kind]
    found: Registry[Any] = getattr(importlib.import_module(module), name)
    return found


def rows(kind: str) -> list[dict[str, Any]]:
    """Returns a row for each plug-in of a kind: key, summary, options, reason if disabled."""
    plugins = registry(kind)
    return [_row(plugins, key) for key in plugins]


def _row(plugins: Registry[Any], key: str) -> dict[str, Any]:
    info = plugins.info(key)
    options = [] if info.summary == "" else list(plugins.get(key).Config.model_fields)
    return {"key": key, "summary": info.summary, "options": options, "reason": info.reason}
