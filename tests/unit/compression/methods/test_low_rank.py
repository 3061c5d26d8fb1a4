from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from tests.unit.compression.trained import cnn_study, digits, resnet_study
from workbench.compression import METHODS, factors, parse
from workbench.compression.method import Edited
from workbench.compression.subject import Subject, find_layers
from workbench.core.errors import InputError, UnsupportedError
from workbench.exporting.graph import initializers, save_graph
from workbench.runtime.session import open_session


def convolution(weight: np.ndarray, **attributes) -> onnx.ModelProto:
    rng = np.random.default_rng(1)
    bias = rng.normal(size=len(weight)).astype(np.float32)
    node = helper.make_node("Conv", ["x", "w", "b"], ["y"], name="conv", **attributes)
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", weight.shape[1], 9, 11])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    values = [numpy_helper.from_array(weight, "w"), numpy_helper.from_array(bias, "b")]
    graph = helper.make_graph([node], "g", [x], [y], values)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def split(graph: onnx.ModelProto, **options) -> Edited:
    layers = find_layers(graph)
    subject = Subject(graph, cnn_study().description, layers, graph, "")
    method = METHODS.get("low_rank")
    tools = cnn_study().tools(_Free())
    return method.change_graph(subject, layers, method.Config(**options, correct=False), tools)


class _Free:
    def check(self) -> None:
        """Nobody stops a test."""


def truncated(matrix: np.ndarray, rank: int) -> np.ndarray:
    """The best approximation by eigenvectors of the Gram matrix: no SVD."""
    _, vectors = np.linalg.eigh(matrix.astype(np.float64).T @ matrix)
    kept = vectors[:, -rank:]
    return matrix @ kept @ kept.T


@pytest.mark.parametrize("options", [{}, {"strides": [2, 1]}, {"dilations": [1, 2]}])
@pytest.mark.parametrize("kind", ["channel", "spatial"])
def test_a_convolution_gives_what_its_approximated_weight_gives(kind, options, tmp_path):
    rng = np.random.default_rng(0)
    weight = rng.normal(size=(12, 10, 3, 3)).astype(np.float32)
    if kind == "channel":
        close = truncated(weight.reshape(12, 90), 4).reshape(weight.shape)
    else:
        matrix = weight.transpose(1, 2, 0, 3).reshape(30, 36)
        close = truncated(matrix, 4).reshape(10, 3, 12, 3).transpose(2, 0, 1, 3)
    graph = convolution(weight, pads=[1, 2, 0, 1], **options)
    edited = split(graph, keep=4, conv=kind)
    inputs = rng.normal(size=(2, 10, 9, 11)).astype(np.float32)
    got = open_session(save_graph(edited.graph, tmp_path / "got.onnx")).run(inputs)
    padded = torch.nn.functional.pad(torch.from_numpy(inputs), (2, 1, 1, 0))
    expected = torch.nn.functional.conv2d(
        padded,
        torch.from_numpy(close.astype(np.float32)),
        torch.from_numpy(initializers(graph)["b"]),
        stride=options.get("strides", 1),
        dilation=options.get("dilations", 1),
    )
    np.testing.assert_allclose(got, expected.numpy(), rtol=1e-4, atol=1e-4)
    assert [node.op_type for node in edited.graph.graph.node] == ["Conv", "Conv"]
    assert len(edited.parts["conv"]) == 2


def test_the_energy_kept_is_at_least_what_was_asked_and_no_rank_too_many():
    matrix = np.random.default_rng(0).normal(size=(20, 30)).astype(np.float32)
    found = factors.of_matrix(matrix, 0.8)

    def energy(rank: int) -> float:
        return 1 - ((truncated(matrix, rank) - matrix) ** 2).sum() / (matrix**2).sum()

    assert energy(found.rank) >= 0.8 > energy(found.rank - 1)
    assert found.energy == pytest.approx(energy(found.rank), abs=1e-5)
    np.testing.assert_allclose(found.first @ found.second, truncated(matrix, found.rank), atol=1e-5)


def test_layers_that_would_grow_stay_and_it_says_which():
    study = cnn_study()
    variant = study.build("low_rank:0.9")
    stayed = [note for note in variant.notes if "stays whole" in note]
    split = [note for note in variant.notes if "% of the energy" in note]
    assert any(note.startswith(study.build("baseline").layers[0].name) for note in stayed)
    assert len(split) + len(stayed) == len(study.build("baseline").layers)
    assert study.measure("low_rank:0.9").size_bytes < 0.96 * study.baseline().size_bytes


@pytest.mark.full
def test_corrected_outputs_answer_better():
    study = resnet_study()
    plain, corrected = (study.measure(f"low_rank:0.8,correct={on}") for on in ("false", "true"))
    assert corrected.score > plain.score
    assert corrected.size_bytes == pytest.approx(plain.size_bytes, rel=0.02)


def test_nothing_to_save_is_refused_with_all_reasons():
    with pytest.raises(UnsupportedError, match="no layer") as caught:
        cnn_study().build("low_rank:1000")
    assert "parameters, and" in str(caught.value)


@pytest.mark.parametrize("after", ["quantize_static", "quantize_weights:4", "cluster", "half"])
def test_thin_layers_are_compressed_further(after):
    study = resnet_study()
    both, one = study.measure(f"low_rank:0.95 + {after}"), study.measure("low_rank:0.95")
    assert both.size_bytes < 0.75 * one.size_bytes
    assert both.score > one.score - 0.05


def test_calibration_is_that_of_the_split_graph():
    study = cnn_study()
    graph = study.build("low_rank:0.9 + quantize_static").graph
    kinds = [node.op_type for node in graph.graph.node]
    parts = len(study.build("low_rank:0.9").layers)
    assert sum(kind in {"Conv", "Gemm", "MatMul"} for kind in kinds) == parts
    weights = [v for v in initializers(graph).values() if v.dtype == np.int8 and v.ndim > 1]
    assert len(weights) == parts
    assert len(digits().val.targets) == study.measure("low_rank:0.9 + quantize_static").samples


@pytest.mark.parametrize("value", ["0", "1.0", "1.5", "-1", "half", "true"])
def test_rank_is_whole_and_energy_below_one(value):
    with pytest.raises(InputError, match="low_rank"):
        parse(f"low_rank:{value}")


def test_rank_and_energy_are_told_apart():
    assert parse("low_rank:3").steps[0].config.keep == 3
    assert parse("low_rank:0.3").steps[0].config.keep == 0.3
