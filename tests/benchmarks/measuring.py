"""Measuring a static int8 variant of the digits cnn whose activation ranges are known."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks.figure import Figure, median_of
from tests.benchmarks.ready import trained_cnn

_RECIPE = "quantize_static"
_TIMES = 5


def figures(folder: Path) -> Iterator[Figure]:
    """Yields the figures."""
    space, data, run = trained_cnn(folder)
    began = time.process_time()
    study = space.study(run, data)
    yield Figure("the baseline, export and parity included", time.process_time() - began, "CPU-s")
    began = time.process_time()
    study.measure(_RECIPE)
    yield Figure("static int8, ranges unknown", time.process_time() - began, "CPU-s")

    def again() -> float:
        space.store.db.execute(
            "DELETE FROM cache WHERE json_extract(value, '$.recipe') = 'quantize_static:8'"
        )
        space.store.db.execute("DELETE FROM variants WHERE recipe = 'quantize_static:8'")
        began = time.process_time()
        study.measure(_RECIPE)
        return time.process_time() - began

    yield Figure("static int8, ranges known", median_of(again, _TIMES), "CPU-s")

    def remembered() -> float:
        began = time.process_time()
        study.measure(_RECIPE)
        return 1e3 * (time.process_time() - began)

    yield Figure("static int8, remembered", median_of(remembered, _TIMES), "CPU-ms")
