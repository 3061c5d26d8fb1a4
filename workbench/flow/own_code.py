"""Code of the user's own on its way into a process of ours: modules, losses, plug-ins of a cell.

It goes through a pipe to our own child, never to disk, and is never read from a file.
"""

from __future__ import annotations

import importlib
from typing import Any

from workbench.core.optional import require
from workbench.core.plugins import add_own, own_plugins


def packed(live: Any) -> bytes:
    """Returns what a child needs besides the store; b"" if that is nothing.

    Args:
        live: A module, or what else cannot be stored; None if there is none.
    """
    plugins = own_plugins()
    if live is None and not plugins:
        return b""
    cloudpickle = require("cloudpickle", for_="code from a cell")
    # By value: a child need not find the file that a plug-in was imported from.
    modules = {importlib.import_module(type(plugin).__module__) for _, _, plugin in plugins}
    for module in modules:
        cloudpickle.register_pickle_by_value(module)
    try:
        return bytes(cloudpickle.dumps((live, plugins)))
    finally:
        for module in modules:
            cloudpickle.unregister_pickle_by_value(module)


def unpacked(data: bytes) -> Any:
    """Adds the plug-ins that are in it, and returns what was live."""
    if not data:
        return None
    live, plugins = require("cloudpickle", for_="code from a cell").loads(data)
    for package, key, plugin in plugins:
        add_own(package, key, plugin)
    return live
