from __future__ import annotations

import numpy as np
import pytest

from tests.unit.compression.trained import cnn_study, digits
from workbench.compression.calibration import Calibrator, observe, observe_values


@pytest.fixture(scope="module")
def graph():
    return cnn_study().build("baseline").graph


def inputs(count: int) -> np.ndarray:
    return digits().train.batch(np.arange(count))[0]


def values(graph, name, count, tmp_path):
    parts = [v[name] for v in observe_values(graph, [name], inputs(count), tmp_path)]
    return np.concatenate(parts)


def relu_of(graph) -> str:
    return next(node.output[0] for node in graph.graph.node if node.op_type == "Relu")


def test_minmax_is_the_extremes_of_all_batches(graph, tmp_path):
    found = observe(graph, inputs(150))
    assert found["input"] == (inputs(150).min(), inputs(150).max())
    seen = values(graph, relu_of(graph), 150, tmp_path)
    assert found[relu_of(graph)] == pytest.approx((seen.min(), seen.max()), rel=1e-5)
    assert graph.graph.output[0].name in found


def test_percentile_keeps_the_central_share(graph, tmp_path):
    found = observe(graph, inputs(150), kind="percentile", percentile=99.0)
    name = next(node.output[0] for node in graph.graph.node if node.op_type == "Conv")
    seen = values(graph, name, 150, tmp_path)
    expected = np.percentile(seen, [0.5, 99.5])
    bin_width = float(seen.max() - seen.min()) / 2048
    assert found[name] == pytest.approx(tuple(expected.tolist()), abs=2 * bin_width)


def test_ranges_are_remembered_in_the_store(graph, store, monkeypatch):
    options = {"kind": "minmax", "percentile": 99.9, "samples": 40}
    first = Calibrator(digits().train, "print", store.cache).ranges(graph, "one", **options)
    monkeypatch.setattr("workbench.compression.calibration.observe", None)
    again = Calibrator(digits().train, "print", store.cache).ranges(graph, "one", **options)
    assert again == first
    with pytest.raises(TypeError):
        Calibrator(digits().train, "other", store.cache).ranges(graph, "one", **options)
