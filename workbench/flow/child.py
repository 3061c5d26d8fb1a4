"""Entry point of a run's own process: `python -m workbench.flow.child ROOT RUN`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from workbench.core.errors import WorkbenchError
from workbench.core.optional import require
from workbench.flow.runner import execute
from workbench.store import open_store


def main(root: str, run_id: str) -> int:
    """Executes one run; returns the exit code."""
    payload = None
    if os.environ.pop("WORKBENCH_PAYLOAD", ""):
        # From our own parent through a pipe, made a moment ago: never read from a file.
        payload = require("cloudpickle", for_="code from a cell").loads(sys.stdin.buffer.read())
    try:
        execute(open_store(Path(root)), run_id, payload)
    except WorkbenchError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
