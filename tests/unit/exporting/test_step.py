"""Export as a user meets it: the file, its proof, and errors that name a line."""

from __future__ import annotations

import functools
import json
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from tests.unit.exporting.nets import Branching, Numpy, Scaled, Softened, conv_net, description
from workbench.core.errors import StateError, WorkbenchError
from workbench.exporting import FoldMap, ParityError, export_samples
from workbench.exporting.blame import ExportError
from workbench.exporting.exporters.onnx import PLUGIN
from workbench.exporting.graph import initializers, load_graph, save_graph, with_initializers
from workbench.exporting.state import perturbed, predictor, state_of
from workbench.runtime import open_session


def digits(count: int = 50) -> np.ndarray:
    return load_digits().images[:count, None].astype(np.float32)


@functools.cache
def exported():
    folder = Path(tempfile.mkdtemp(prefix="workbench-tests-"))
    return export_samples(conv_net(), description(), digits(), folder)


def test_the_file_answers_as_the_module_for_any_batch():
    session = open_session(exported().path)
    for size in (1, 3, 50):
        expected = predictor(conv_net())(digits(size))
        np.testing.assert_allclose(session.run(digits(size)), expected, atol=1e-4)
    assert session.signature == description().signature
    assert exported().exporter == "dynamo"
    assert exported().parity.max_error < 1e-4
    assert exported().parity.batch_sizes[0] == 1
    assert not exported().notes


def test_nothing_but_graph_and_weights_is_in_the_file():
    graph = load_graph(exported().path)
    text = graph.SerializeToString()
    assert b"/tests/" not in text
    assert b"stack_trace" not in text
    assert not graph.metadata_props
    assert not any(node.metadata_props or node.doc_string for node in graph.graph.node)
    weights = sum(value.nbytes for value in initializers(graph).values())
    assert exported().path.stat().st_size < weights + 4000


def test_the_module_comes_back_as_it_was(tmp_path):
    module = conv_net().train()
    module.net[1].eval()
    before = state_of(module)
    export_samples(module, description(), digits(), tmp_path)
    assert module.training
    assert not module.net[1].training
    for name, value in state_of(module).items():
        np.testing.assert_array_equal(value, before[name])


def test_each_rule_gives_the_baselines_bits():
    fold_map, state = exported().fold_map, state_of(conv_net())
    assert fold_map.is_proven
    values = initializers(load_graph(exported().path))
    for name, value in fold_map.compute(state).items():
        assert value.tobytes() == values[name].tobytes(), name
    kinds = {rule.kind for rule in fold_map.rules.values()}
    assert {"copy", "bn_weight", "bn_bias"} <= kinds
    assert FoldMap.from_json(json.loads(json.dumps(fold_map.to_json()))) == fold_map


@pytest.mark.parametrize("seed", [3, 4])
def test_a_patched_file_answers_as_the_changed_module(seed, tmp_path):
    module = conv_net()
    state = perturbed(state_of(module), seed)
    graph = with_initializers(load_graph(exported().path), exported().fold_map.compute(state))
    path = save_graph(graph, tmp_path / "patched.onnx")
    expected = predictor(module, state)(digits())
    np.testing.assert_allclose(
        open_session(path).run(digits()), expected, atol=1e-3 * np.abs(expected).max()
    )
    assert np.abs(expected - predictor(module)(digits())).max() > 0.1


def test_the_structure_is_the_same_for_patched_files(tmp_path):
    from workbench.exporting.graph import structure_digest

    state = perturbed(state_of(conv_net()), 5)
    graph = with_initializers(load_graph(exported().path), exported().fold_map.compute(state))
    assert structure_digest(graph) == exported().structure


def test_a_weight_no_rule_explains_is_said_and_not_patched(tmp_path):
    result = export_samples(Scaled(Softened()), description(), digits(), tmp_path)
    assert not result.fold_map.is_proven
    assert "no rule gives the bits of" in result.fold_map.reason
    assert any("exported anew" in note for note in result.notes)
    with pytest.raises(StateError, match="cannot be patched"):
        result.fold_map.compute(state_of(Scaled(Softened())))


def test_a_branch_on_data_fails_loudly_and_names_its_line(tmp_path):
    samples = digits(8) - 8.0
    samples[0] = 1.0
    with pytest.raises(ParityError) as caught:
        export_samples(Branching(), description(), samples, tmp_path)
    text = str(caught.value)
    assert "answers differently" in text
    assert "nets.py, line" in text
    assert "`if flat.sum() > 0:`" in text


def test_when_both_exporters_fail_the_line_is_named(tmp_path):
    with pytest.raises(ExportError) as caught:
        export_samples(Numpy(), description(), digits(), tmp_path)
    assert "nets.py, line" in caught.value.message
    assert "in forward" in caught.value.message
    assert "'dynamo'" in str(caught.value)
    assert "'torchscript'" in str(caught.value)


def test_the_older_exporter_takes_over(tmp_path, monkeypatch):
    def fail(*_):
        raise WorkbenchError("not today")

    monkeypatch.setattr("workbench.exporting.exporters.onnx._by_dynamo", fail)
    result = export_samples(conv_net(), description(), digits(), tmp_path)
    assert result.exporter == "torchscript"
    assert "not today" in result.notes[0]
    assert result.parity.max_error < 1e-4
    assert PLUGIN.suffix == ".onnx"


def test_a_fixed_batch_is_refused(tmp_path):
    class Fixed(torch.nn.Module):
        def forward(self, x):
            return x.reshape(2, -1)[:, :10]

    with pytest.raises(ParityError, match="gives 2 answers for a batch of 1"):
        export_samples(Fixed(), description(), digits(), tmp_path)
