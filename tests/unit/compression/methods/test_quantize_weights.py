from __future__ import annotations

import numpy as np
import pytest

from tests.unit.compression.trained import cnn_study, digits, imported_study, network
from workbench.compression import parse
from workbench.compression.methods.quantize_weights import in_blocks
from workbench.compression.study import StudyEngine
from workbench.core.errors import InputError, UnsupportedError
from workbench.exporting.graph import initializers, save_graph, with_initializers
from workbench.runtime.session import open_session


def answers(graph, path) -> np.ndarray:
    return open_session(save_graph(graph, path)).run(digits().val.batch(np.arange(32))[0])


def rounded(weight: np.ndarray, bits: int, block: int) -> np.ndarray:
    """Each block of a row by itself, in plain loops; `weight` [outputs, inputs]."""
    close = np.zeros_like(weight)
    for row, target in zip(weight, close, strict=True):
        for start in range(0, len(row), block):
            part = row[start : start + block]
            scale = max(part, key=abs) / -(2 ** (bits - 1))
            levels = [min(round(v / scale), 2 ** (bits - 1) - 1) for v in part.tolist()]
            target[start : start + block] = np.array(levels) * scale
    return close


def divisor(length: int, block: int) -> int:
    sizes = [n for n in range(1, length + 1) if length % n == 0]
    return min(sizes, key=lambda n: max(n / block, block / n))


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("block", [16, 32])
@pytest.mark.parametrize("study", [cnn_study, imported_study])
def test_it_answers_as_the_rounded_weights_do(study, bits, block, tmp_path):
    base = study().build("baseline")
    variant = study().build(f"quantize_weights:{bits},block={block},compute=float32")
    floats, stored = initializers(base.graph), initializers(variant.graph)
    rows = {}
    for layer in base.layers:
        weight = floats[layer.initializer]
        if layer.initializer in stored:
            continue
        if layer.op_type == "Conv":
            size = divisor(weight[0].size, block)
            flat = rounded(weight.reshape(len(weight), -1), bits, size)
            rows[layer.initializer] = flat.reshape(weight.shape)
            assert stored[f"{layer.initializer}.i"].dtype.name == f"int{bits}"
        else:
            rows[layer.initializer] = rounded(weight, bits, block)
            assert stored[f"{layer.initializer}.b"].nbytes == pytest.approx(
                weight.size * bits / 8, rel=0.05
            )
    assert len(rows) >= 4
    expected = answers(with_initializers(base.graph, rows), tmp_path / "expected.onnx")
    got = answers(variant.graph, tmp_path / "got.onnx")
    np.testing.assert_allclose(got, expected, rtol=1e-3, atol=1e-3)


def test_int8_arithmetic_answers_nearly_alike(tmp_path):
    study = cnn_study()
    exact, quick = (
        answers(study.build(f"quantize_weights:8,compute={kind}").graph, tmp_path / f"{kind}.onnx")
        for kind in ("float32", "int8")
    )
    assert 0 < np.abs(exact - quick).max() < 0.05 * np.abs(exact).max()


def test_a_block_uses_its_most_negative_integer():
    rows = np.array([[0.5, -2.0, 1.0, 0.0], [0.0, 0.0, 0.0, 0.0]], np.float32)
    integers, scales = in_blocks(rows, 4)
    np.testing.assert_array_equal(integers, [[2, -8, 4, 0], [0, 0, 0, 0]])
    np.testing.assert_array_equal(scales, [[0.25], [0.0]])


def test_the_file_is_really_packed():
    study = cnn_study()
    four, eight = (study.measure(f"quantize_weights:{bits}") for bits in (4, 8))
    base = study.baseline()
    assert four.size_bytes < 0.26 * base.size_bytes
    assert eight.size_bytes < 0.38 * base.size_bytes
    assert eight.score > base.score - 0.01
    assert four.score > base.score - 0.05
    kinds = [node.op_type for node in study.build("quantize_weights:4").graph.graph.node]
    assert "MatMulNBits" in kinds
    assert any("smaller, not faster" in note for note in four.notes)


def test_a_perceptron_is_all_packed_matmuls():
    study = StudyEngine(cnn_study().store, network("mlp", 4), digits())
    variant = study.build("quantize_weights:4")
    kinds = [node.op_type for node in variant.graph.graph.node]
    assert kinds.count("MatMulNBits") == len(variant.layers)
    assert study.measure("quantize_weights:4").score > study.baseline().score - 0.05


def test_a_layer_too_small_is_refused():
    study = StudyEngine(cnn_study().store, network("cnn", 1, width=2), digits())
    first = study.build("baseline").layers[0].name
    with pytest.raises(UnsupportedError, match="no layer smaller"):
        study.build({first: "quantize_weights:8"})


def test_packed_weights_take_no_further_number_format():
    with pytest.raises(InputError, match="already made them blocks"):
        parse("quantize_weights:4 + half")
