"""Each source keeps the promises of sources. A new file is tested by existing."""

from __future__ import annotations

import base64
import json

import numpy as np
import pytest
from PIL import Image

from workbench.core.errors import InputError
from workbench.data import SOURCES, Dataset, load, open_dataset
from workbench.data.modalities import MODALITIES
from workbench.data.source import Source, SourceConfig


def _rows(count=60):
    rng = np.random.default_rng(0)
    return {
        "大小": rng.normal(size=count).round(3).tolist(),
        "颜色": [["红", "绿"][i % 2] for i in range(count)],
        "类": [["是", "否"][i % 2] for i in range(count)],
    }


def _folder(path):
    rng = np.random.default_rng(0)
    for index in range(40):
        folder = path / "图片" / ["猫", "狗"][index % 2]
        folder.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 255, (8, 8, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{index}.png")
    return path / "图片"


def _kept_requests(path):
    """Writes the log of an endpoint that kept forty small pictures, two a request."""
    folder = path / ".workbench" / "requests" / "payloads"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    with (folder / "2026-11-22.jsonl").open("w", encoding="utf-8") as file:
        for index in range(20):
            pixels = rng.random((2, 6, 6)).astype(np.float32)
            data = base64.b64encode(pixels.tobytes()).decode()
            line = {
                "time": f"2026-11-22T08:00:{index:02}.000Z",
                "id": str(index),
                "model": "数字",
                "version": "1",
                "modality": "image",
                "task": "classification",
                "labels": ["零", "一"],
                "array": {"shape": [2, 6, 6], "dtype": "float32", "b64": data},
                "answers": ["零", "一"],
                "scores": [0.9, 0.6],
            }
            file.write(json.dumps(line) + "\n")
    return {}


EXAMPLES = {
    "arrays": lambda path: {
        "inputs": np.random.default_rng(0).random((40, 6, 6)),
        "targets": np.arange(40) % 2,
        "labels": ("猫", "狗"),
    },
    "digits": lambda path: {},
    "folder": lambda path: {"path": _folder(path)},
    "images": lambda path: {"path": _folder(path)},
    "request_log": _kept_requests,
    "table": lambda path: {"frame": _rows(), "target": "类"},
    "torch_dataset": lambda path: {
        "dataset": [(np.full((1, 5, 5), i, np.float32), i % 2) for i in range(40)]
    },
}


@pytest.fixture(params=SOURCES.keys())
def key(request):
    return request.param


@pytest.fixture
def example(key, tmp_path):
    """The options of an example of the source; without one, what it takes by default."""
    return EXAMPLES.get(key, lambda path: {})(tmp_path)


@pytest.fixture
def data(store, key, example) -> Dataset:
    return load(store, key, **example)


def test_it_is_listed_with_a_summary_and_described_options(key):
    plugin = SOURCES.get(key)
    assert isinstance(plugin, Source)
    assert plugin.summary
    assert issubclass(plugin.Config, SourceConfig)
    undescribed = [n for n, f in plugin.Config.model_fields.items() if not f.description]
    assert not undescribed


def test_it_gives_a_whole_dataset(data):
    assert len(data.fingerprint) == 64
    assert data.ref.startswith(f"dataset:{data.name}@")
    parts = (data.train, data.val, data.test)
    indices = np.concatenate([part.indices for part in parts])
    assert np.array_equal(np.sort(indices), np.arange(len(indices)))
    for part in parts:
        assert part.inputs.shape == (len(part), *data.sample_shape)
        assert np.isfinite(part.inputs).all()
        if data.task == "classification":
            assert part.targets.dtype == np.int64
            assert set(part.targets) <= set(range(len(data.labels)))
    inputs, targets = next(data.train.batches(8, seed=0))
    assert inputs.dtype == np.float32
    assert inputs.shape == (8, *data.sample_shape)
    assert len(targets) == 8


def test_raw_samples_decode_to_the_stored_tensors(data):
    modality = MODALITIES.get(data.modality)
    samples = data.test[:5]
    decoded = modality.decode_batch([s.input for s in samples], data.preprocessing)
    assert np.allclose(decoded, data.test.inputs[:5])
    assert len(modality.split_batch(samples[0].input, data.preprocessing)) == 1


def test_normalization_makes_train_standard(data):
    mean, std = data.normalization
    inputs = (np.asarray(data.train.inputs, np.float64) - mean) / std
    assert mean.dtype == std.dtype == np.float32
    assert np.isfinite(inputs).all()
    assert (std > 0).all()


def test_the_same_again_is_found_and_another_seed_is_another_dataset(store, key, example, data):
    before = sorted(store.blobs.all())
    again = load(store, key, **example)
    assert again.artifact.digest == data.artifact.digest
    assert sorted(store.blobs.all()) == before
    assert load(store, key, **example, seed=7).fingerprint != data.fingerprint


def test_it_opens_again_by_ref(store, data):
    again = open_dataset(store, data.ref)
    assert again.to_json() == data.to_json()
    assert again.preprocessing == data.preprocessing


def test_split_changes_the_parts(store, key, example):
    data = load(store, key, **example, split=(0.5, 0.25, 0.25))
    total = len(data.train) + len(data.val) + len(data.test)
    assert abs(len(data.train) - total / 2) <= 1


def test_progress_ends_at_the_total(store, key, example):
    seen = []
    load(store, key, **example, progress=lambda *done: seen.append(done))
    assert seen
    assert seen[-1][0] == seen[-1][1]
    assert all(isinstance(note, str) and note for _, _, note in seen)


def test_unknown_options_are_refused_and_leave_no_trace(store, key, example):
    with pytest.raises(InputError, match="did you mean 'seed'"):
        load(store, key, **example, sead=1)
    assert not list(store.blobs.all())
    assert not list(store.home.scratch.iterdir())
