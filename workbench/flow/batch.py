"""Whether this process works unattended: then verbs run inline and remember finished steps."""

from __future__ import annotations

import os

BATCH_VARIABLE = "WORKBENCH_BATCH"


def is_batch() -> bool:
    """Returns whether this process is the kernel of a batch run."""
    return bool(os.environ.get(BATCH_VARIABLE))
