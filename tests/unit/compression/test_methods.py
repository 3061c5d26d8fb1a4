"""Methods against an independent computation in NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from tests.unit.compression.trained import cnn_study, digits, imported_study
from workbench.compression import METHODS
from workbench.compression.calibration import observe
from workbench.compression.methods.quantize_static import quantize
from workbench.exporting.graph import initializers
from workbench.runtime.cpu import Cpu


def weights(seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        "a": rng.normal(size=(8, 4, 3, 3)).astype(np.float32),
        "b": (rng.normal(size=(6, 8)) * 0.1).astype(np.float32),
    }


def changed(key: str, **options) -> dict[str, np.ndarray]:
    method = METHODS.get(key)
    return method.change_weights(weights(), method.Config(**options))


def test_prune_removes_the_fraction_of_each_layer():
    for name, value in changed("prune", amount=0.25, scope="layer").items():
        before = weights()[name]
        zeros = value == 0
        assert zeros.sum() == round(0.25 * before.size)
        assert np.abs(before[zeros]).max() <= np.abs(before[~zeros]).min()
        np.testing.assert_array_equal(value[~zeros], before[~zeros])


def test_prune_removes_the_fraction_of_all_layers_together():
    after, before = changed("prune", amount=0.25), weights()
    magnitudes = np.sort(np.abs(np.concatenate([v.ravel() for v in before.values()])))
    threshold = magnitudes[round(0.25 * len(magnitudes)) - 1]
    for name, value in after.items():
        np.testing.assert_array_equal(value == 0, np.abs(before[name]) <= threshold)
    assert (after["b"] == 0).mean() > (after["a"] == 0).mean()


def test_ties_are_pruned_to_the_exact_fraction():
    method = METHODS.get("prune")
    after = method.change_weights({"a": np.ones((4, 5), np.float32)}, method.Config(amount=0.5))
    assert (after["a"] == 0).sum() == 10


def test_clip_cuts_at_the_percentile():
    for name, value in changed("clip", at=90.0).items():
        before = weights()[name]
        threshold = np.sort(np.abs(before).ravel())[int(0.9 * (before.size - 1)) :][:2]
        assert threshold[0] <= np.abs(value).max() <= threshold[1]
        inside = np.abs(before) < np.abs(value).max()
        np.testing.assert_array_equal(value[inside], before[inside])
        assert inside.mean() == pytest.approx(0.9, abs=0.03)


def test_clip_by_error_beats_no_clipping_where_there_is_an_outlier():
    before = weights()["a"].reshape(8, -1)
    before[0, 0] = 9.0
    method = METHODS.get("clip")
    after = method.change_weights({"a": before}, method.Config(at="mse", bits=4))["a"]

    def error(limit: float) -> float:
        scale = limit / 7
        return float(((np.clip(np.rint(before[0] / scale), -7, 7) * scale - before[0]) ** 2).sum())

    chosen = float(np.abs(after[0]).max())
    assert chosen < 9.0
    assert error(chosen) < error(9.0)
    assert error(chosen) == pytest.approx(min(error(9.0 * s) for s in np.linspace(0.3, 1, 71)))


def test_weights_given_are_not_changed():
    before = weights()
    for key, options in [("prune", {"amount": 0.5}), ("clip", {"at": 95.0})]:
        method = METHODS.get(key)
        method.change_weights(before, method.Config(**options))
    for name, value in weights().items():
        np.testing.assert_array_equal(before[name], value)


def test_static_weights_are_symmetric_int8_with_one_scale_a_channel():
    subject = cnn_study().build("baseline")
    inputs = digits().train.batch(np.arange(32))[0]
    ranges = observe(subject.graph, inputs)
    for reduce_range, largest in [(False, 127), (True, 64)]:
        graph = quantize(subject.graph, ranges, reduce_range=reduce_range)
        integers, floats = initializers(graph), initializers(subject.graph)
        for layer in subject.layers:
            value = floats[layer.initializer]
            got, scale = integers[f"{layer.initializer}.i"], integers[f"{layer.initializer}.s"]
            assert got.dtype == np.int8
            assert scale.shape == (len(value),)
            assert np.abs(got.astype(int)).max() <= largest
            shape = (-1,) + (1,) * (value.ndim - 1)
            back = got * scale.reshape(shape)
            assert (np.abs(back - value) <= 0.51 * scale.reshape(shape)).all()


def test_a_cpu_without_vnni_gets_seven_bits_and_a_word_about_it():
    study = cnn_study()
    for path, largest in [("none", 64), ("vnni", 127)]:
        tools = study.tools(None)
        cpu = Cpu("test", 2, path)
        method = METHODS.get("quantize_static")
        subject = study.build("baseline")
        graph = method.change_graph(
            subject,
            subject.layers,
            method.Config(),
            type(tools)(tools.data, None, cpu, tools.calibrator),
        )
        values = [v for v in initializers(graph).values() if v.dtype == np.int8 and v.ndim > 1]
        assert max(np.abs(v.astype(int)).max() for v in values) == pytest.approx(largest, abs=1)


def test_only_the_layers_asked_for_are_quantized():
    study = cnn_study()
    names = [layer.name for layer in study.build("baseline").layers]
    graph = study.build({names[-1]: "quantize_static"}).graph
    quantized = [i.name for i in graph.graph.initializer if i.name.endswith(".weight.i")]
    assert quantized == [f"{names[-1]}.weight.i"]


def test_half_stores_sixteen_bits_and_answers_alike():
    study = cnn_study()
    subject = study.build("half")
    values = initializers(subject.graph)
    stored = [value for name, value in values.items() if name.endswith("_fp16")]
    assert len(stored) == len(subject.layers)
    assert all(value.dtype == np.float16 for value in stored)
    assert study.measure("half").size_bytes < 0.6 * study.baseline().size_bytes


def test_dynamic_leaves_convolutions_alone_unless_asked():
    study = imported_study()
    kinds = {node.op_type for node in study.build("quantize_dynamic").graph.graph.node}
    assert "ConvInteger" not in kinds
    assert "MatMulInteger" in kinds or "DynamicQuantizeMatMul" in kinds
    kinds = {node.op_type for node in study.build("quantize_dynamic,conv=true").graph.graph.node}
    assert "ConvInteger" in kinds


def test_structured_pruning_is_the_same_when_it_is_found_again():
    study = cnn_study()
    recipe = "prune_structured:0.5,epochs=1"
    first = study.build(recipe)
    again = type(study)(study.store, study.model, study.dataset).build(recipe)
    assert again.graph.SerializeToString() == first.graph.SerializeToString()
    for name, value in first.module.state_dict().items():
        np.testing.assert_array_equal(again.module.state_dict()[name].numpy(), value.numpy())
    assert first.module.pruning_history == again.module.pruning_history != []
    assert study.measure(recipe).size_bytes < 0.5 * study.baseline().size_bytes


def test_structured_pruning_keeps_round_widths():
    module = cnn_study().build("prune_structured:0.4,epochs=1").module
    widths = [part.out_channels for part in module.modules() if hasattr(part, "out_channels")]
    assert widths
    assert all(width % 4 == 0 for width in widths)
