from __future__ import annotations

import numpy as np

from tests.unit.runtime.files import linear
from workbench.runtime import profile_session
from workbench.runtime.profile import operator_table


def event(name: str, op: str, us: float) -> dict:
    return {"cat": "Node", "name": f"{name}_kernel_time", "dur": us, "args": {"op_name": op}}


def test_the_table_is_the_median_of_each_node_without_the_warm_up():
    events = [event("a", "Conv", us) for us in (9000, 100, 300, 200)]
    events += [event("b", "Relu", us) for us in (1, 1, 1, 1)]
    events.append({"cat": "Session", "name": "model_run", "dur": 5})
    rows = operator_table(events, skip=1)
    assert [(row.node, row.op_type, row.ms) for row in rows] == [
        ("a", "Conv", 0.2),
        ("b", "Relu", 0.001),
    ]


def test_a_real_file_names_its_own_nodes(tmp_path):
    rows = profile_session(linear(tmp_path / "m.onnx"), np.ones((2, 64), np.float32), runs=4)
    assert {"first", "second"} <= {row.node for row in rows}
    assert sum(row.ms for row in rows) > 0
    assert [p.name for p in tmp_path.iterdir()] == ["m.onnx"]
