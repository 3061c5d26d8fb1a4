"""How many rows are best put into one run of a model: measured on this machine when it is loaded.

More rows share the fixed cost of a run, until their activations no longer fit the processor's
cache: from then on each row takes longer, and all wait for the whole batch.
"""

from __future__ import annotations

import math
from time import perf_counter

from workbench.serving.engine import FREE, LoadedModel, example_inputs

_REPEATS = 3
_LONGEST_S = 0.02
_NEAR = 1.05
_GAIN, _MOST_IDLE = 0.98, 2


def best_rows(model: LoadedModel, most: int, free: int = FREE) -> int:
    """Returns the fewest rows whose time a row is within 5 % of the shortest found.

    Doubles the rows up to `most`, or until a run takes 20 ms: a longer one gains nothing and holds
    up whoever comes next. Two doublings without a gain end it, too: more rows would only take the
    memory of their activations.

    Args:
        model: Answers batches; is run a few dozen times.
        most: At least 1.
        free: A size of its free dimensions at which it answers.
    """
    found: dict[int, float] = {}
    rows, idle = 1, 0
    while rows <= most and idle < _MOST_IDLE:
        seconds = _shortest_s(model, rows, free)
        is_gain = seconds / rows < _GAIN * min(found.values(), default=math.inf)
        idle = 0 if is_gain else idle + 1
        found[rows] = seconds / rows
        if seconds > _LONGEST_S:
            break
        rows *= 2
    limit = _NEAR * min(found.values())
    return next(rows for rows, seconds in found.items() if seconds <= limit)


def _shortest_s(model: LoadedModel, rows: int, free: int) -> float:
    inputs = example_inputs(model.signature, rows, free=free)
    model.predict(inputs)
    times: list[float] = []
    for _ in range(_REPEATS):
        began = perf_counter()
        model.predict(inputs)
        times.append(perf_counter() - began)
    return min(times)
