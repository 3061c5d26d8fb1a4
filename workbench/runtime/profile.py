"""Time by operator, from ONNX Runtime's own profile. It explains; it does not measure latency."""

from __future__ import annotations

import json
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from workbench.core.batch import Batch
from workbench.runtime.session import open_session

_US_PER_MS = 1000.0
_SUFFIX = "_kernel_time"


@dataclass(frozen=True)
class OperatorTime:
    """One node's share: `ms` a call. Profiling itself inflates nodes that take microseconds."""

    node: str
    op_type: str
    ms: float


def profile_session(
    path: Path, batch: Batch, *, threads: int = 1, runs: int = 20
) -> list[OperatorTime]:
    """Returns the operators of the optimized graph with milliseconds a call, slowest first.

    Args:
        path: The ONNX file.
        batch: Samples [N, …]: one tensor, or one for each input.
        threads: Threads inside an operator.
        runs: Calls to take the median of, after two for warming up.
    """
    with tempfile.TemporaryDirectory() as folder:
        session = open_session(path, threads, profile_prefix=Path(folder) / "profile")
        session.warm(batch, runs + 2)
        events = json.loads(Path(session.ort.end_profiling()).read_text())
    return operator_table(events, skip=2)


def operator_table(events: Iterable[Mapping[str, Any]], skip: int = 0) -> list[OperatorTime]:
    """Returns the table of ONNX Runtime's profiling events; the first `skip` calls do not count."""
    times: dict[tuple[str, str], list[float]] = defaultdict(list)
    for event in events:
        name = str(event.get("name", ""))
        if event.get("cat") == "Node" and name.endswith(_SUFFIX):
            key = (name.removesuffix(_SUFFIX), str(event["args"]["op_name"]))
            times[key].append(float(event["dur"]) / _US_PER_MS)
    rows = [
        OperatorTime(node, op_type, float(np.median(values[skip:] or values)))
        for (node, op_type), values in times.items()
    ]
    return sorted(rows, key=lambda row: (-row.ms, row.node))
