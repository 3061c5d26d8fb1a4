"""ONNX files as other tools write them."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from onnx import helper, numpy_helper
from sklearn.datasets import load_digits

from tests.unit.exporting.files import logistic
from tests.unit.exporting.nets import conv_net
from workbench.exporting.graph import load_graph, save_graph
from workbench.exporting.prepare import prepare
from workbench.exporting.state import predictor
from workbench.runtime import open_session


def digits(count: int = 40) -> np.ndarray:
    return load_digits().images[:count, None].astype(np.float32)


@pytest.fixture
def raw(tmp_path):
    """A network with its BatchNorms, an old opset and a batch of one."""
    path = tmp_path / "raw.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            conv_net(),
            (torch.zeros(1, 1, 8, 8),),
            str(path),
            dynamo=False,
            do_constant_folding=False,
            training=torch.onnx.TrainingMode.PRESERVE,
            opset_version=11,
            input_names=["image"],
            output_names=["scores"],
        )
    return path


def test_an_old_fixed_file_with_batch_norm_becomes_workable(raw, tmp_path):
    prepared = prepare(raw, digits())
    kinds = [node.op_type for node in prepared.graph.graph.node]
    assert kinds.count("BatchNormalization") < 4
    assert len({node.name for node in prepared.graph.graph.node}) == len(kinds)
    session = open_session(save_graph(prepared.graph, tmp_path / "ready.onnx"))
    np.testing.assert_allclose(session.run(digits()), predictor(conv_net())(digits()), atol=1e-3)
    words = " ".join(prepared.notes)
    assert "batch size was fixed and is free now" in words
    assert "converted to opset" in words
    assert "BatchNorm was folded" in words


def test_the_file_itself_stays(raw):
    before = raw.read_bytes()
    prepare(raw, digits())
    assert raw.read_bytes() == before


def test_a_reshape_to_one_sample_is_freed(tmp_path):
    path, model = logistic(tmp_path / "l.onnx", reshape_to=[1, 64])
    prepared = prepare(path, digits())
    session = open_session(save_graph(prepared.graph, tmp_path / "ready.onnx"))
    expected = model.decision_function(load_digits().data[:40] / 16.0)
    np.testing.assert_allclose(session.run(digits()), expected, atol=1e-3)
    assert {item.name for item in prepared.graph.graph.initializer} == {"W", "b", "shape"}
    assert [node.name for node in prepared.graph.graph.node] == ["Reshape_0", "Gemm_1"]


def test_what_cannot_be_freed_is_left_and_said(tmp_path):
    path, _ = logistic(tmp_path / "l.onnx", reshape_to=[-1, 64])
    graph = load_graph(path)
    graph.graph.node.append(helper.make_node("Expand", ["y", "shape2"], ["z"]))
    pinned = numpy_helper.from_array(np.array([2, 10], np.int64), "shape2")
    graph.graph.initializer.append(pinned)
    graph.graph.output[0].name = "z"
    for item in (graph.graph.input[0], graph.graph.output[0]):
        item.type.tensor_type.shape.dim[0].dim_value = 2
    prepared = prepare(save_graph(graph, tmp_path / "odd.onnx"), digits())
    assert any("not possible: its batch size" in note for note in prepared.notes)
    assert prepared.graph.graph.input[0].type.tensor_type.shape.dim[0].dim_value == 2
