"""A study as a user sees it."""

from __future__ import annotations

import numpy as np
import pytest

from tests.unit.compression.trained import cnn_study, digits, home, imported_study, resnet_study
from tests.unit.exporting.files import logistic
from tests.unit.exporting.nets import description
from workbench.compression.measure import measuring_lock
from workbench.compression.measured import Measured
from workbench.compression.study import StudyEngine, front
from workbench.core.errors import CancelledError, InputError, UnsupportedError
from workbench.core.host import is_locked
from workbench.core.records import Interval
from workbench.exporting.graph import initializers, load_graph
from workbench.runtime.latency import measure_interleaved
from workbench.runtime.session import open_session
from workbench.store import NullContext


def test_the_baseline_is_what_the_file_answers():
    study = cnn_study()
    baseline = study.baseline()
    path = study.path(baseline)
    inputs, targets = digits().val.batch(np.arange(len(digits().val)))
    expected = (open_session(path).run(inputs).argmax(1) == targets).mean()
    assert baseline.score == pytest.approx(expected)
    assert baseline.accuracy == baseline.score
    assert baseline.samples == len(digits().val)
    assert baseline.size_bytes == path.stat().st_size
    assert baseline.stored_bytes < baseline.size_bytes
    assert baseline.latency_ratio.value == 1.0
    assert baseline.difference == Interval(0.0, 0.0, 0.0)
    assert baseline.reason == ""
    assert 0 < baseline.latency_ms <= baseline.latency_p95_ms
    assert baseline.cpu_s_per_1000 > 0
    assert baseline.parity < 1e-4
    assert baseline.cpu["name"]


def test_int8_is_small_and_nearly_as_good():
    study = cnn_study()
    variant = study.measure("quantize_static:8")
    assert variant.size_bytes < 0.36 * study.baseline().size_bytes
    assert variant.score > study.baseline().score - 0.02
    assert variant.difference.low <= variant.difference.value <= variant.difference.high
    assert f"×{variant.size_bytes / study.baseline().size_bytes:.2f} the bytes" in variant.reason


def test_zeros_are_not_presented_as_a_gain():
    variant = cnn_study().measure("prune:0.5")
    assert "zeros save no bytes in the file (stored: ×0." in variant.reason
    assert "saves neither bytes nor time" in variant.reason or "the latency" in variant.reason
    values = initializers(load_graph(cnn_study().path(variant)))
    layers = cnn_study().build("baseline").layers
    zeros = sum((values[layer.initializer] == 0).sum() for layer in layers)
    assert zeros == pytest.approx(
        0.5 * sum(values[la.initializer].size for la in layers), abs=len(layers)
    )


def test_a_repeat_is_found_not_measured():
    study = cnn_study()
    first = study.measure("prune:0.3 + quantize_static")
    context = NullContext(home().home.root)
    assert study.measure("prune:0.3+quantize_static:8", context) == first
    assert context.events == []
    fresh = StudyEngine(home(), study.model, digits())
    assert fresh.find("prune:0.3 + quantize_static:8") == first
    assert fresh.find("prune:0.31") is None
    assert Measured.from_json(first.to_json()) == first


def test_another_thread_count_is_another_measurement():
    study = cnn_study()
    study.baseline()
    assert StudyEngine(home(), study.model, digits(), threads=2).find("baseline") is None


def test_weights_are_patched_not_exported_again(monkeypatch):
    study = cnn_study()
    study.baseline()
    exported = []
    monkeypatch.setattr("workbench.compression.structures.export_samples", exported.append)
    monkeypatch.setattr("workbench.compression.apply.export_samples", exported.append)
    subject = study.build("prune:0.4 + quantize_static")
    assert not exported
    assert subject.fold_map.is_proven
    assert subject.parity < 1e-4


def test_ranges_are_computed_once_for_all_variants(monkeypatch):
    study = cnn_study()
    study.build("quantize_static,samples=64")
    monkeypatch.setattr("workbench.compression.calibration.observe", None)
    study.build("prune:0.2 + quantize_static,samples=64")
    fresh = StudyEngine(home(), study.model, digits())
    fresh.build("prune:0.3 + quantize_static,samples=64")


def test_a_file_from_elsewhere_is_pruned_with_its_outputs_corrected():
    study = imported_study()
    variant = study.measure("prune:0.5")
    assert variant.parity is None
    assert variant.score > study.baseline().score - 0.06
    assert any("corrected" in note for note in variant.notes)


@pytest.mark.parametrize("recipe", ["quantize_static", "prune:0.3", "half", "quantize_dynamic"])
def test_a_file_as_another_tool_wrote_it_is_compressed(recipe, tmp_path):
    path, model = logistic(tmp_path / "l.onnx", reshape_to=[1, 64])
    meta = {"description": description().to_json()}
    study = StudyEngine(home(), home().artifacts.save("onnx", {"model.onnx": path}, meta), digits())
    inputs, targets = digits().val.batch(np.arange(len(digits().val)))
    expected = model.score(inputs.reshape(len(inputs), -1) / 16.0, targets)
    assert study.baseline().score == pytest.approx(expected, abs=0.003)
    assert any("batch size" in note for note in study.baseline().notes)
    assert study.measure(recipe).score > expected - 0.05


def test_what_cannot_work_says_all_reasons():
    with pytest.raises(UnsupportedError, match="lives as ONNX only"):
        imported_study().measure("prune_structured:0.5")
    with pytest.raises(UnsupportedError, match="must be the same for all layers"):
        names = [layer.name for layer in cnn_study().build("baseline").layers]
        cnn_study().measure(
            {names[0]: "quantize_static", names[1]: "quantize_static,per_channel=false"}
        )


def test_an_unknown_layer_is_named_with_the_nearest():
    name = cnn_study().build("baseline").layers[0].name
    with pytest.raises(InputError, match=f"did you mean '{name}'"):
        cnn_study().measure({name + "x": "prune:0.5"})


def test_layers_are_known_by_torch_and_by_node_name():
    study = cnn_study()
    layer = study.build("baseline").layers[0]
    by_torch = study.build({layer.name: "prune:0.5"})
    by_node = study.build({layer.node: "prune:0.5"})
    assert by_torch.graph.SerializeToString() == by_node.graph.SerializeToString()
    value = by_torch.state[layer.parameter]
    assert (value == 0).mean() == pytest.approx(0.5, abs=0.01)
    other = by_torch.layers[1].parameter
    assert (by_torch.state[other] != 0).all()


def test_recipes_that_begin_alike_share_the_work(monkeypatch):
    study = StudyEngine(home(), cnn_study().model, digits())
    first = study.build("prune:0.35")
    monkeypatch.setattr("workbench.compression.batch_norm.reestimated", None)
    again = study.build("prune:0.35 + quantize_static")
    np.testing.assert_equal(dict(again.state), dict(first.state))
    with pytest.raises(TypeError):
        study.build("prune:0.36 + quantize_static")


def test_one_process_at_a_time_measures(monkeypatch, tmp_path):
    tmp_path.chmod(0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))  # a lock that no other test holds
    held = []

    def look(*args, **kwargs):
        held.append(is_locked(measuring_lock().path))
        return measure_interleaved(*args, **kwargs)

    monkeypatch.setattr("workbench.compression.measure.measure_interleaved", look)
    cnn_study().measure("prune:0.15")
    assert held
    assert all(held)
    assert not is_locked(measuring_lock().path)


def test_the_baseline_answers_once_for_every_process(monkeypatch):
    first = cnn_study()
    expected = first.outputs_of_baseline()
    again = StudyEngine(home(), first.model, first.dataset)
    monkeypatch.setattr("workbench.compression.study.open_session", None)
    assert np.array_equal(again.outputs_of_baseline(), expected)


def test_stop_stops():
    class Stopped(NullContext):
        def check(self):
            raise CancelledError("The run was stopped.")

    with pytest.raises(CancelledError):
        cnn_study().measure("prune:0.77", Stopped(home().home.root))
    assert cnn_study().find("prune:0.77") is None


def test_the_front_keeps_what_nothing_beats():
    study = resnet_study()
    rows = [study.measure(r) for r in ("baseline", "quantize_static", "prune:0.9", "half")]
    best = front(rows)
    sizes = [row.size_bytes for row in best]
    scores = [row.score for row in best]
    assert sizes == sorted(sizes)
    assert scores == sorted(scores)
    assert all(row.recipe != "prune:0.9" for row in best)
    with pytest.raises(InputError, match="No figure 'speed'"):
        front(rows, x="speed")


def test_only_models_can_be_studied():
    with pytest.raises(InputError, match="dataset artifact"):
        StudyEngine(home(), digits().artifact, digits())
