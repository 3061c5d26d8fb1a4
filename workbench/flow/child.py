"""Entry point of a run's own process: `python -m workbench.flow.child ROOT RUN`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from workbench.core.errors import WorkbenchError
from workbench.flow import own_code
from workbench.flow.runner import execute
from workbench.store import open_store


def main(root: str, run_id: str) -> int:
    """Executes one run; returns the exit code."""
    payload = None
    if os.environ.pop("WORKBENCH_PAYLOAD", ""):
        payload = own_code.unpacked(sys.stdin.buffer.read())
    try:
        execute(open_store(Path(root)), run_id, payload)
    except WorkbenchError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
