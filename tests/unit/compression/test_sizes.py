"""The additive model of a file's size against real files."""

from __future__ import annotations

import numpy as np
import pytest

from tests.unit.compression.trained import resnet_study
from workbench.compression.sizes import file_size, layer_sizes
from workbench.exporting.graph import save_graph


def test_the_size_is_that_of_the_file(tmp_path):
    graph = resnet_study().build("quantize_static").graph
    assert file_size(graph) == save_graph(graph, tmp_path / "m.onnx").stat().st_size


def test_a_part_of_the_layers_adds_its_part_of_the_bytes():
    study = resnet_study()
    base, full = study.build("baseline"), study.build("quantize_static").graph
    nodes = {layer.name: layer.node for layer in base.layers}
    before, after = layer_sizes(base.graph, nodes), layer_sizes(full, nodes)
    shared = file_size(full) - file_size(base.graph)
    shared -= sum(after[name] - before[name] for name in nodes)
    names, rng = list(nodes), np.random.default_rng(0)
    for _ in range(3):
        chosen = [str(name) for name in rng.choice(names, 8, replace=False)]
        got = file_size(study.build(dict.fromkeys(chosen, "quantize_static")).graph)
        sum_of_parts = file_size(base.graph) + shared
        sum_of_parts += sum(after[name] - before[name] for name in chosen)
        assert sum_of_parts == pytest.approx(got, rel=0.005)
