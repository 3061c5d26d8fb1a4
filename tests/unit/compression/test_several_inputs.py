"""Networks of several inputs, of any dtype and free sizes: the whole road of a study."""

from __future__ import annotations

import functools
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.unit import mixed
from tests.unit.compression.trained import home
from workbench.compression.estimator import Estimator
from workbench.compression.macs import count_macs, free_sizes
from workbench.compression.study import StudyEngine
from workbench.core.batch import rows
from workbench.core.errors import UnsupportedError
from workbench.core.records import Description
from workbench.exporting.graph import initializers, load_graph
from workbench.runtime.latency import measure_interleaved
from workbench.runtime.profile import profile_session
from workbench.runtime.session import open_session
from workbench.store import NullContext


@dataclass
class Part:
    """Samples by name, with targets."""

    inputs: dict[str, np.ndarray]
    targets: np.ndarray

    def __len__(self):
        return len(self.targets)

    def batch(self, indices):
        picked = np.asarray(indices)
        return rows(self.inputs, picked), self.targets[picked]

    def batches(self, batch_size, *, seed=None):
        for start in range(0, len(self), batch_size):
            yield self.batch(np.arange(start, min(start + batch_size, len(self))))


@dataclass
class Data:
    """Three parts, answered by the network itself."""

    train: Part
    val: Part
    test: Part
    task: str = "classification"
    fingerprint: str = "mixed"


@functools.cache
def engine(is_recurrent=False):
    folder = Path(tempfile.mkdtemp(dir=home().home.scratch))
    path = mixed.save(folder / "mixed.onnx", is_recurrent=is_recurrent)
    session = open_session(path)
    parts = []
    for seed, count in ((1, 200), (2, 300), (3, 100)):
        inputs = mixed.samples(count, seed=seed)
        parts.append(Part(inputs, session.run(inputs).argmax(1)))
    about = Description("classification", "logits", mixed.LABELS, session.signature)
    model = home().artifacts.save(
        "onnx", {"model.onnx": path}, {"description": about.to_json(), "parity": None}
    )
    return StudyEngine(home(), model, Data(*parts, fingerprint=f"mixed{is_recurrent}"))


def doubled():
    """A study of a linear network in double precision."""
    folder = Path(tempfile.mkdtemp(dir=home().home.scratch))
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    weights = np.random.default_rng(0).normal(size=(6, 3))
    ends = [
        helper.make_tensor_value_info(name, TensorProto.DOUBLE, ["batch", size])
        for name, size in (("x", 6), ("y", 3))
    ]
    fixed = [numpy_helper.from_array(weights, "w")]
    graph = helper.make_graph([node], "double", ends[:1], ends[1:], fixed)
    opset = [helper.make_opsetid("", 17)]
    path = folder / "double.onnx"
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=9), path)
    inputs = np.random.default_rng(1).normal(size=(90, 6))
    part = Part({"x": inputs}, (inputs @ weights).argmax(1))
    about = Description("classification", "logits", mixed.LABELS, open_session(path).signature)
    meta = {"description": about.to_json(), "parity": None}
    model = home().artifacts.save("onnx", {"model.onnx": path}, meta)
    return StudyEngine(home(), model, Data(part, part, part, fingerprint="double"))


def weights_of(measured):
    return initializers(load_graph(engine().path(measured)))


def test_latency_and_profile_take_every_input(tmp_path):
    path = mixed.save(tmp_path / "m.onnx")
    session, inputs = open_session(path), mixed.samples(2)
    found = measure_interleaved({"one": session, "two": session}, inputs, budget_s=0.01)
    assert found.timings["one"].batch == 2
    assert "Gather" in {row.op_type for row in profile_session(path, inputs, runs=2)}
    both = [rows(inputs, slice(1)), rows(inputs, slice(1, 2))]
    np.testing.assert_allclose(session.predict(both), session.run(inputs), rtol=1e-5)


def test_a_study_measures_weights_and_graphs():
    study = engine()
    assert study.baseline().score == 1.0
    pruned = study.measure("prune:0.3")
    assert 0.8 < pruned.score < 1.0
    names = ("kernel", "table", "head", "trace")
    zeros = [int((weights_of(pruned)[name] == 0).sum()) for name in names]
    assert sum(zeros) == round(0.3 * sum(mixed.weights()[name].size for name in names))
    assert all(zeros[:3])
    dynamic = study.measure("quantize_dynamic")
    assert dynamic.score > 0.95
    assert dynamic.size_bytes < study.baseline().size_bytes
    assert study.compare(pruned, NullContext(Path(tempfile.mkdtemp()))).flip_counts["lost"] > 0


@pytest.mark.parametrize(
    "recipe", ["clip:99", "half", "cluster:16", "quantize_weights:8", "quantize_static"]
)
def test_every_method_on_weights_or_graph_takes_it(recipe):
    assert engine().measure(recipe).score > 0.9


@pytest.mark.parametrize("recipe", ["prune_structured:0.5", "qat", "distill:0.5"])
def test_methods_that_retrain_say_why_not(recipe):
    with pytest.raises(UnsupportedError, match="needs the PyTorch module"):
        engine().measure(recipe)


def test_what_static_integers_leave_is_named():
    notes = engine().measure("quantize_static").notes
    assert any("embedding" in note and "float" in note for note in notes)


def test_an_embedding_is_a_layer_that_can_be_asked_for_alone():
    study = engine()
    halved = weights_of(study.measure({"embedding": "prune:0.5"}))
    assert (halved["table"] == 0).mean() == 0.5
    np.testing.assert_array_equal(halved["head"], mixed.weights()["head"])
    whole = study.measure({"head": "quantize_dynamic"})
    assert weights_of(whole)["table"].dtype == np.float32
    alone = study.measure({"embedding": "quantize_dynamic"})
    assert "table" not in weights_of(alone)
    assert weights_of(alone)["head"].dtype == np.float32


def test_an_estimate_sees_what_a_change_of_the_embedding_does():
    estimator = Estimator(engine(), samples=16)
    for recipe in ({"embedding": "prune:0.5"}, "prune:0.3", "quantize_dynamic", "cluster:16"):
        found, truth = estimator.estimate(recipe), engine().measure(recipe)
        assert found.score.low <= truth.score <= found.score.high
        assert found.size_bytes.value == pytest.approx(truth.size_bytes, rel=0.05)


def test_work_is_counted_at_the_sizes_that_the_samples_have():
    subject = engine().build("baseline")
    sizes = free_sizes(subject.graph, mixed.samples(1, length=12))
    assert sizes == {"time": 12}
    convolutions = mixed.HIDDEN * 2 * 3 + mixed.HIDDEN
    head = (mixed.HIDDEN + mixed.WIDTH) * mixed.CLASSES
    assert count_macs(subject.graph, sizes) == 12 * convolutions + head
    assert Estimator(engine(), samples=8).estimate("half").macs.value == 12 * convolutions + head


def test_recurrent_weights_are_pruned_and_quantized():
    study = engine(is_recurrent=True)
    names = [layer.name for layer in study.build("baseline").layers]
    assert names == ["conv", "tracing", "embedding", "lstm.W", "lstm.R", "head"]
    pruned = initializers(study.build({"lstm.W": "prune:0.5"}).graph)
    assert (pruned["W"] == 0).mean() == 0.5
    assert (pruned["R"] != 0).all()
    kinds = {node.op_type for node in study.build("quantize_dynamic").graph.graph.node}
    assert "DynamicQuantizeLSTM" in kinds
    kept = {node.op_type for node in study.build({"head": "quantize_dynamic"}).graph.graph.node}
    assert "LSTM" in kept


def test_an_estimate_counts_the_bytes_of_what_cannot_be_probed():
    estimator, study = Estimator(engine(is_recurrent=True), samples=16), engine(is_recurrent=True)
    for recipe in ("half", "quantize_dynamic", "quantize_weights:8", "prune:0.3"):
        found, truth = estimator.estimate(recipe), study.measure(recipe)
        assert found.size_bytes.value == pytest.approx(truth.size_bytes, rel=0.05)
        assert found.score.low <= truth.score <= found.score.high


def test_weights_of_other_numbers_are_measured_and_left_in_words():
    study = doubled()
    assert study.baseline().score == 1.0
    for recipe in ("prune:0.5", "quantize_static", "half"):
        with pytest.raises(UnsupportedError, match="weights are float64; float32"):
            study.measure(recipe)
