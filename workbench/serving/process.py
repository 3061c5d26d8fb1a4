"""The endpoint's own process: `python -m workbench.serving.process REF_OR_FILE.onnx`.

Stays in the foreground until SIGTERM or Ctrl-C, then answers what it owes and exits with 0. With
`--workers N` it supervises N such processes behind one port. Imports nothing heavy by itself: what
is made for the start lives as long as the process, so nothing is collected until it is made.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from workbench.core.lazy import lazy

if TYPE_CHECKING:
    from workbench.serving import single
else:
    single = lazy("workbench.serving.single")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the endpoint; returns the exit code."""
    gc.disable()  # launch.settle lets it begin
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # looking for some takes 25 ms
    try:
        return single.serve(sys.argv[1:] if argv is None else list(argv))
    finally:
        gc.enable()


if __name__ == "__main__":
    sys.exit(main())
