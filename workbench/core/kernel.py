"""The Jupyter kernel that this process may be. Looks for one, never starts or imports one."""

from __future__ import annotations

import sys
import threading
from typing import Any


def kernel_shell() -> Any:
    """Returns the shell of the kernel that this process is; None outside one."""
    interactive = sys.modules.get("IPython")
    shell = None if interactive is None else interactive.get_ipython()
    return shell if getattr(shell, "kernel", None) is not None else None


def cell_shell() -> Any:
    """Returns the kernel's shell while it executes a cell in this thread, else None.

    What is published then belongs to the cell that runs. A widget's message has no cell.
    """
    shell = kernel_shell()
    if shell is None or threading.current_thread() is not threading.main_thread():
        return None
    header = shell.kernel.get_parent("shell").get("header", {})
    return shell if header.get("msg_type") == "execute_request" else None
