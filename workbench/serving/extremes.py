"""Whose fault an answer is that is not finite: the model's, or that of the numbers it was given."""

from __future__ import annotations

import numpy as np

from workbench.core.errors import InputError, WorkbenchError
from workbench.serving.batching import Job
from workbench.serving.errors import NOT_FINITE

# The cube of a larger number overflows float32, so no model can be blamed for what it makes of it.
EXTREME = 1e12


def blamed(error: WorkbenchError, job: Job | None) -> WorkbenchError:
    """Returns what a caller is told of an answer that is not finite.

    A version has answered a made-up example when it was loaded. What it cannot answer at ordinary
    numbers is its own failure, and counts as such; numbers beyond `EXTREME` are the caller's.

    Args:
        error: What was found in the answer; another one stays as it is.
        job: The run it came from; None if that is not known.
    """
    if not error.context.keys() >= NOT_FINITE.keys():
        return error
    found = 0.0 if job is None else _largest(job)
    if found <= EXTREME:
        return error
    return InputError(
        f"Got numbers as large as {found:.3g}, for which the model's answer is not finite (NaN or "
        f"infinity); up to {EXTREME:.0e} would be right.",
        hint="Scale the numbers as those that the model was trained on.",
    )


def _largest(job: Job) -> float:
    """Returns the largest magnitude among the inputs."""
    floats = [value for value in job.inputs.values() if value.dtype.kind in "fiu" and value.size]
    return max((float(np.max(np.abs(value.astype(np.float64)))) for value in floats), default=0.0)
