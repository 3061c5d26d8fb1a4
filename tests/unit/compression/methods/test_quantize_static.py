from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from tests.unit.compression.trained import cnn_study, digits
from workbench.compression import METHODS
from workbench.compression.calibration import observe_values
from workbench.compression.subject import Subject
from workbench.exporting.graph import initializers, with_initializers
from workbench.runtime.cpu import Cpu


def means(graph, name: str) -> np.ndarray:
    """Mean of each channel of a tensor over the samples that correction uses."""
    inputs = cnn_study().tools(None).train_inputs(128)
    with tempfile.TemporaryDirectory() as folder:
        parts = [v[name] for v in observe_values(graph, [name], inputs, Path(folder))]
    value = np.concatenate(parts)
    return value.mean(axis=tuple(axis for axis in range(value.ndim) if axis != 1))


class _Free:
    def check(self) -> None:
        """Nobody stops a test."""


def quantized(subject: Subject, **options):
    study, method = cnn_study(), METHODS.get("quantize_static")
    tools = study.tools(_Free())
    tools = type(tools)(tools.data, tools.context, Cpu("test", 2, "vnni"), tools.calibrator)
    config = method.Config(**options)
    return initializers(method.change_graph(subject, subject.layers, config, tools))


def test_corrected_biases_give_back_the_means_and_weights_stay():
    base = cnn_study().build("baseline")
    plain, corrected = (quantized(base, bias_correction=on) for on in (False, True))
    layer = base.layers[2]
    node = next(node for node in base.graph.graph.node if node.name == layer.node)
    bias = node.input[2]
    rounded, biases = {}, {}
    for other in base.layers[:3]:
        name = other.initializer
        np.testing.assert_array_equal(plain[f"{name}.i"], corrected[f"{name}.i"])
        scale = plain[f"{name}.s"].reshape(-1, *[1] * (plain[f"{name}.i"].ndim - 1))
        rounded[name] = plain[f"{name}.i"].astype(np.float32) * scale
        own = next(n for n in base.graph.graph.node if n.name == other.node).input[2]
        biases[own] = corrected[f"{own}.i"].astype(np.float32) * corrected[f"{own}.i.s"]
    wanted = means(base.graph, node.output[0])
    before = np.abs(means(with_initializers(base.graph, rounded), node.output[0]) - wanted)
    repaired = with_initializers(base.graph, {**rounded, **biases})
    after = np.abs(means(repaired, node.output[0]) - wanted)
    assert bias in biases
    assert after.max() < 0.2 * before.max()


def test_percentile_ranges_cut_the_tails():
    study = cnn_study()
    base = study.build("baseline")
    wide, narrow = (
        quantized(base, calibrate=kind, percentile=99.0) for kind in ("minmax", "percentile")
    )
    scales = [name for name in wide if name.endswith(".s") and wide[name].ndim == 0]
    assert scales
    assert all(narrow[name] <= wide[name] * 1.001 for name in scales)
    assert sum(narrow[name] < 0.9 * wide[name] for name in scales) > len(scales) / 2
    variant = study.measure("quantize_static:8,bias_correction=true")
    assert variant.score > study.baseline().score - 0.03
    assert len(digits().val.targets) == variant.samples


def test_layers_beside_it_may_be_packed_in_other_ways():
    study = cnn_study()
    names = [layer.name for layer in study.build("baseline").layers]
    recipe = {
        names[1]: "low_rank:6",
        names[2]: "cluster:8",
        names[3]: "quantize_weights:4",
        names[4]: "quantize_weights:8",
        "*": "quantize_static",
    }
    graph = study.build(recipe).graph
    kinds = [node.op_type for node in graph.graph.node]
    assert {"Gather", "MatMulNBits", "QuantizeLinear"} <= set(kinds)
    assert study.measure(recipe).score > study.baseline().score - 0.15
