from __future__ import annotations

import os
from collections import Counter

import numpy as np
import pytest

from workbench.core.errors import IntegrityError, NotFoundError
from workbench.core.ids import digest_file
from workbench.data import load, open_dataset
from workbench.data.modalities import MODALITIES
from workbench.store import blobs, open_store


@pytest.fixture
def data(store):
    return load(store, "digits", augment="shift:1")


def test_samples_are_raw_and_decode_to_the_stored_tensor(data, digits):
    sample = data.test[0]
    assert sample.input.shape == (8, 8)
    assert np.array_equal(sample.input, digits[0][data.test.indices[0]])
    assert sample.target == digits[1][data.test.indices[0]]
    assert isinstance(sample.target, int)
    decoded = MODALITIES.get("image").decode(sample.input, data.preprocessing)
    assert np.array_equal(decoded, data.test.inputs[0])


def test_a_split_is_a_sequence(data):
    assert data.val[-1].target == data.val[len(data.val) - 1].target
    assert [s.target for s in data.val[:3]] == data.val.targets[:3].tolist()
    assert len(list(data.val)) == len(data.val)
    with pytest.raises(IndexError):
        data.val[len(data.val)]


def test_no_sample_is_in_two_splits_and_none_is_lost(data):
    found = np.concatenate([part.indices for part in (data.train, data.val, data.test)])
    assert np.array_equal(np.sort(found), np.arange(1797))


def test_batches_in_order_are_the_samples_as_they_are(data):
    inputs, targets = zip(*data.train.batches(500), strict=True)
    assert [len(batch) for batch in targets] == [500, 500, 258]
    assert np.array_equal(np.concatenate(inputs), data.train.inputs)
    assert np.array_equal(np.concatenate(targets), data.train.targets)
    assert inputs[0].dtype == np.float32
    assert inputs[0].flags.writeable


def test_batches_by_seed_are_shuffled_augmented_and_repeatable(data):
    first, again, other = (list(data.train.batches(300, seed=s)) for s in (1, 1, 2))
    for (a, _), (b, _) in zip(first, again, strict=True):
        assert np.array_equal(a, b)
    assert not np.array_equal(first[0][1], other[0][1])
    (rest,) = data.train.batches(300, seed=1, start=4)
    assert np.array_equal(rest[0], first[4][0])
    known = {row.tobytes() for row in data.train.inputs}
    changed = [row.tobytes() not in known for row in first[0][0]]
    assert np.mean(changed) > 0.5


def test_only_train_is_augmented(data):
    known = {row.tobytes() for row in data.val.inputs}
    for inputs, _ in data.val.batches(100, seed=3):
        assert all(row.tobytes() in known for row in inputs)


def test_statistics_are_those_of_train_alone(data):
    mean, std = data.normalization
    assert mean.shape == std.shape == (1, 1, 1)
    assert mean.item() == pytest.approx(data.train.inputs.mean(), rel=1e-5)
    assert std.item() == pytest.approx(data.train.inputs.std(), rel=1e-5)


def test_a_dataset_says_what_it_is(data):
    assert repr(data).startswith(f"<{data.ref}: image (1, 8, 8), 10 labels, train 1258")
    described = data.to_json()
    assert described["samples"] == {"train": 1258, "val": 269, "test": 270}
    assert described["augment"][0]["kind"] == "shift"
    assert data.ref == f"dataset:digits@{data.fingerprint[:6]}"
    assert data.baseline is None


def test_unknown_refs(store):
    with pytest.raises(NotFoundError, match="digits@123456"):
        open_dataset(store, "dataset:digits@123456")
    other = store.artifacts.save("network", {"a.bin": b"1"}, {})
    with pytest.raises(NotFoundError, match="not a dataset"):
        open_dataset(store, other.digest)


def test_each_part_is_hashed_once_a_process_and_none_for_a_glimpse(data, store, monkeypatch):
    hashed = Counter()

    def counted(path):
        hashed[path] += 1
        return digest_file(path)

    monkeypatch.setattr(blobs, "digest_file", counted)
    assert data.train[0].input.shape == (8, 8)
    assert not hashed, "this process wrote it, and knows what it wrote"
    again = open_dataset(open_store(store.home.root), data.ref)
    assert again.train[0].input.shape == (8, 8)
    inputs = store.blobs.path(data.artifact.files["train.inputs.npy"])
    assert inputs not in hashed, "a sample is shown without reading all"
    for _ in range(2):
        next(again.train.batches(10, seed=1))
        next(again.val.batches(10))
    assert set(hashed.values()) == {1}
    assert inputs in hashed


def test_samples_changed_since_they_were_hashed_are_hashed_again(data, store):
    assert data.val.inputs.shape[1:] == (1, 8, 8)
    path = store.blobs.path(data.artifact.files["val.inputs.npy"])
    before = path.stat()
    content = path.read_bytes()
    path.chmod(0o600)
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(IntegrityError, match="was changed"):
        next(open_dataset(store, data.ref).val.batches(10))
