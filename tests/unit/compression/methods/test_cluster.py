from __future__ import annotations

import numpy as np
import pytest
from sklearn.cluster import KMeans

from tests.unit.compression.trained import cnn_study, digits, imported_study
from workbench.compression.methods.cluster import codebook_of
from workbench.core.errors import UnsupportedError
from workbench.exporting.graph import initializers, save_graph, with_initializers
from workbench.runtime.session import open_session


def weights() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(16, 8, 3, 3)).astype(np.float32)


def answers(graph, path) -> np.ndarray:
    return open_session(save_graph(graph, path)).run(digits().val.batch(np.arange(32))[0])


@pytest.mark.parametrize("entries", [2, 16, 64])
def test_the_codebook_is_as_good_as_that_of_scikit_learn(entries):
    value = weights()
    codebook, indices = codebook_of(value, entries)
    points = value.reshape(-1, 1).astype(np.float64)
    start = np.linspace(points.min(), points.max(), entries)[:, None]
    other = KMeans(entries, init=start, n_init=1, tol=0, max_iter=300).fit(points)
    got = float(((codebook[indices] - value) ** 2).sum())
    assert got <= 1.01 * other.inertia_
    means = [value[indices == index].mean() for index in range(len(codebook))]
    np.testing.assert_allclose(codebook, means, atol=1e-5)
    nearest = np.abs(value[..., None] - codebook).argmin(-1)
    np.testing.assert_array_equal(codebook[nearest], codebook[indices])


def test_few_values_are_kept_exactly():
    value = np.array([[0.1, -0.2], [0.1, 3.0]], np.float32)
    codebook, indices = codebook_of(value, 4)
    np.testing.assert_array_equal(codebook[indices], value)


def test_pruned_weights_stay_zero():
    value = weights()
    value[np.abs(value) < 0.5] = 0
    codebook, indices = codebook_of(value, 16)
    np.testing.assert_array_equal(codebook[indices] == 0, value == 0)
    assert len(codebook) <= 16


@pytest.mark.parametrize("entries", [16, pytest.param(256, marks=pytest.mark.full)])
@pytest.mark.parametrize("study", [cnn_study, imported_study])
def test_the_file_holds_indices_and_answers_as_the_codebook_says(study, entries, tmp_path):
    base = study().build("baseline")
    variant = study().build(f"cluster:{entries}")
    floats = initializers(base.graph)
    stored = initializers(variant.graph)
    shared = {}
    for layer in base.layers:
        name = layer.initializer
        if name not in stored:
            shared[name] = stored[f"{name}.c"][stored[f"{name}.k"].astype(int)]
            distance = np.abs(floats[name][..., None] - stored[f"{name}.c"])
            np.testing.assert_array_equal(np.abs(shared[name] - floats[name]), distance.min(-1))
    assert len(shared) >= 4
    expected = answers(with_initializers(base.graph, shared), tmp_path / "expected.onnx")
    np.testing.assert_allclose(
        answers(variant.graph, tmp_path / "got.onnx"), expected, rtol=1e-4, atol=1e-4
    )


def test_four_bits_make_the_file_about_an_eighth_and_it_runs_the_same_operators():
    study = cnn_study()
    variant, large = study.measure("cluster"), study.measure("cluster:256")
    assert variant.size_bytes < 0.2 * study.baseline().size_bytes
    assert large.size_bytes < 0.36 * study.baseline().size_bytes
    assert variant.score > study.baseline().score - 0.05
    assert any("not faster" in note for note in variant.notes)
    assert any("too small" in note for note in large.notes)


def test_layers_may_have_codebooks_of_different_sizes():
    study = cnn_study()
    names = [layer.name for layer in study.build("baseline").layers]
    graph = study.build({names[1]: "cluster:4", names[2]: "cluster:32"}).graph
    sizes = {n.removesuffix(".c"): len(v) for n, v in initializers(graph).items() if n[-2:] == ".c"}
    assert sorted(sizes.values()) == [4, 32]


def test_a_layer_too_small_is_refused():
    study = cnn_study()
    last = study.build("baseline").layers[0].name
    with pytest.raises(UnsupportedError, match="no layer smaller"):
        study.build({last: "cluster:256"})


def test_the_rest_can_be_int8():
    study = cnn_study()
    names = [layer.name for layer in study.build("baseline").layers]
    variant = study.measure({names[-2]: "cluster", "*": "quantize_static"})
    assert variant.score > study.baseline().score - 0.03
    assert variant.size_bytes < study.measure("quantize_static").size_bytes
