from __future__ import annotations

import numpy as np
import pytest

from tests.unit.runtime.files import linear
from workbench.core.errors import InputError
from workbench.exporting.graph import (
    copy_graph,
    initializers,
    load_graph,
    save_graph,
    strip,
    structure_digest,
    with_initializers,
)
from workbench.runtime import open_session


@pytest.fixture
def graph(tmp_path):
    return load_graph(linear(tmp_path / "m.onnx"))


def test_initializers_are_replaced_in_a_copy(graph, tmp_path):
    before = graph.SerializeToString()
    changed = with_initializers(graph, {"A": np.zeros((64, 32), np.float32)})
    assert graph.SerializeToString() == before
    path = save_graph(changed, tmp_path / "zero.onnx")
    assert not open_session(path).run(np.ones((1, 64), np.float32)).any()
    assert structure_digest(changed) == structure_digest(graph)


def test_every_misfit_is_named(graph):
    values = {
        "A": np.zeros((2, 2), np.float32),
        "B": np.zeros((32, 10), np.float64),
        "C": np.zeros(1, np.float32),
    }
    with pytest.raises(InputError) as caught:
        with_initializers(graph, values)
    text = str(caught.value)
    assert "'A' is float32 (2, 2), the graph has float32 (64, 32)" in text
    assert "'B' is float64" in text
    assert "no initializer 'C'" in text


def test_strip_leaves_the_answers(graph, tmp_path):
    fat = copy_graph(graph)
    fat.doc_string = "long story"
    for item in (fat, fat.graph.node[0], fat.graph.input[0], fat.graph.initializer[0]):
        entry = item.metadata_props.add()
        entry.key, entry.value = "where", "/home/me/model.py"
    assert strip(copy_graph(fat)).SerializeToString() == graph.SerializeToString()


def test_a_file_that_is_not_onnx_is_refused(tmp_path):
    path = tmp_path / "x.onnx"
    path.write_bytes(b"\xff\xff\xff")
    with pytest.raises(InputError, match=r"'x\.onnx' is not an ONNX file"):
        load_graph(path)


def test_a_save_leaves_no_half_file(graph, tmp_path):
    save_graph(graph, tmp_path / "m2.onnx")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m.onnx", "m2.onnx"]
    assert set(initializers(load_graph(tmp_path / "m2.onnx"))) == {"A", "B"}
