"""What is wrong with recipe, model or data is said in words, and nothing measured is lost."""

import errno

import numpy as np
import pytest

import workbench as wb
from tests.unit.compression.trained import cnn_study, digits, home, network, resnet_study
from workbench.compression.study import StudyEngine
from workbench.core.errors import StorageError
from workbench.store.blobs import Blobs


def test_unknown_methods_layers_and_amounts_out_of_range_are_named_together():
    engine = cnn_study()
    with pytest.raises(wb.InputError) as caught:
        engine.measure("prunee:0.5 + prune:1.2 + quantize_static:7")
    text = str(caught.value)
    assert "did you mean 'prune'" in text
    assert "less than 1" in text
    assert "amount" in text
    assert "bits" in text
    with pytest.raises(wb.InputError, match=r"no layer 'net.features.00'; did you mean"):
        engine.measure({"net.features.00": "prune:0.5"})


def test_ways_to_pack_may_be_mixed_and_two_of_int8_are_refused_with_the_reason():
    engine = resnet_study()
    names = [layer.name for layer in engine.build("").layers]
    order = ("quantize_static", "cluster:16", "quantize_weights:4")
    measured = engine.measure({name: order[i % 3] for i, name in enumerate(names)})
    assert measured.size_bytes < 0.4 * engine.baseline().size_bytes
    assert measured.score > engine.baseline().score - 0.1
    order = ("quantize_static", "quantize_dynamic:8,conv=true")
    with pytest.raises(wb.WorkbenchError, match="take one of them for all layers"):
        engine.measure({name: order[i % 2] for i, name in enumerate(names)})


class Wrapped:
    """The digits with another train split."""

    def __init__(self, inputs, targets, name):
        self._data = digits()
        self.fingerprint = name * 8
        self.train = Part(inputs, targets)

    def __getattr__(self, name):
        return getattr(self._data, name)


class Part:
    """A split held in memory."""

    def __init__(self, inputs, targets):
        self.inputs, self.targets = inputs, targets

    def __len__(self):
        return len(self.targets)

    def batch(self, indices):
        rows = np.asarray(indices)
        return np.array(self.inputs[rows], np.float32), self.targets[rows]

    def batches(self, size, *, seed=None):
        for start in range(0, len(self), size):
            yield self.batch(np.arange(start, min(start + size, len(self))))


def engine_with(inputs, targets, name):
    return StudyEngine(home(), network("cnn", 4), Wrapped(inputs, targets, name))


def test_calibration_on_one_sample_is_refused_or_said():
    inputs, targets = digits().train.batch(np.arange(1))
    engine = engine_with(inputs, targets, "oneone")
    engine.baseline()
    with pytest.raises(wb.InputError, match="1 training sample cannot"):
        engine.measure("quantize_static")


def test_calibration_with_nan_is_refused_with_its_samples():
    inputs, targets = digits().train.batch(np.arange(100))
    inputs[7, 0, 2, 2] = np.nan
    engine = engine_with(inputs, targets, "nannan")
    engine.baseline()
    with pytest.raises(wb.InputError, match="NaN or infinite values: train 7"):
        engine.measure("quantize_static")


def test_a_full_disk_is_said_and_what_was_measured_is_kept(monkeypatch):
    engine = StudyEngine(home(), network("cnn", 4), digits())
    before = engine.measure("half")

    def full(*arguments, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Blobs, "put_file", full)
    with pytest.raises(StorageError, match="No space left on device") as caught:
        engine.measure("clip:98.5")
    assert "workbench gc" in str(caught.value)
    assert engine.measure("half") == before
    monkeypatch.undo()
    assert engine.measure("clip:98.5").score > 0.5
