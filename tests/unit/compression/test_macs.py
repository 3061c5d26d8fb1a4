"""Multiply-accumulates against torch's own layers, counted by hooks."""

from __future__ import annotations

import pytest

from tests.unit.compression.trained import cnn_study, resnet_study
from workbench.compression.macs import count_macs, node_macs
from workbench.core.optional import require


def counted_by_hooks(module, shape) -> int:
    torch = require("torch", for_="tests")
    total = []

    def seen(layer, inputs, output):
        if hasattr(layer, "out_channels"):
            weight = layer.weight
            total.append(output[0].numel() * weight[0].numel())
        else:
            total.append(layer.in_features * layer.out_features)

    kinds = (torch.nn.Conv2d, torch.nn.Linear)
    handles = [m.register_forward_hook(seen) for m in module.modules() if isinstance(m, kinds)]
    with torch.no_grad():
        module.eval()(torch.zeros(1, *shape))
    for handle in handles:
        handle.remove()
    return sum(total)


@pytest.mark.parametrize("study", [cnn_study, resnet_study])
def test_the_graph_counts_what_the_module_does(study):
    subject = study().build("baseline")
    assert count_macs(subject.graph) == counted_by_hooks(subject.module, (1, 8, 8))


def test_int8_does_as_many_as_float():
    graph = resnet_study().build("baseline").graph
    assert count_macs(resnet_study().build("quantize_static").graph) == count_macs(graph)
    assert len(node_macs(graph)) == len(resnet_study().build("baseline").layers)
