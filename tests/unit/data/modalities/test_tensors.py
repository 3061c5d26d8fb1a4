"""Named arrays of any type and size are stored, proven, batched, and told when they are wrong."""

from __future__ import annotations

import os

import numpy as np
import pytest

from workbench.core.errors import InputError, IntegrityError, UnsupportedError
from workbench.core.signature import TensorSpec, misfits
from workbench.data import MODALITIES, load, open_dataset
from workbench.data.collate import collated
from workbench.data.contract import ContractError
from workbench.data.modalities.tensors import Tensors

COUNT = 40
TENSORS = MODALITIES.get("tensors")


def series(rng, count=COUNT):
    return [rng.random((3 + i % 5, 2), np.float32) for i in range(count)]


@pytest.fixture
def given():
    rng = np.random.default_rng(0)
    x = series(rng)
    return {
        "x": x,
        "mask": [np.arange(len(a)) > 0 for a in x],
        "codes": rng.integers(0, 9, (COUNT, 3)),
        "where": np.array(["上海", "京"] * (COUNT // 2)),
        "exact": rng.random(COUNT),
    }


@pytest.fixture
def data(store, given):
    axes = {"x": ("time", None), "mask": ("time",)}
    return load(store, "arrays", inputs=given, axes=axes, targets=np.arange(COUNT) % 2)


def test_the_signature_names_what_is_free(data):
    assert data.modality == "tensors"
    assert data.signature == (
        TensorSpec("x", "float32", ("batch", "time", 2)),
        TensorSpec("mask", "bool", ("batch", "time")),
        TensorSpec("codes", "int64", ("batch", 3)),
        TensorSpec("where", "str", ("batch",)),
        TensorSpec("exact", "float64", ("batch",)),
        TensorSpec("time_lengths", "int64", ("batch",)),
    )
    assert data.normalization is None
    assert "x float32 [time, 2]" in repr(data)
    with pytest.raises(UnsupportedError, match="have no one shape"):
        _ = data.sample_shape


def test_batches_are_padded_to_their_longest_sample_and_tell_the_lengths(data, given):
    for split in (data.train, data.val, data.test):
        row = 0
        for batch, targets in split.batches(5):
            assert misfits(batch, data.signature) == []
            longest = batch["time_lengths"].max()
            assert batch["x"].shape == (len(targets), longest, 2)
            for i, length in enumerate(batch["time_lengths"]):
                source = split.indices[row + i]
                assert np.array_equal(batch["x"][i, :length], given["x"][source])
                assert not batch["x"][i, length:].any()
                assert not batch["mask"][i, length:].any()
                assert batch["where"][i] == given["where"][source]
                assert batch["exact"][i] == given["exact"][source]
            row += len(targets)
    first, again = (list(data.train.batches(5, seed=3)) for _ in range(2))
    assert all(np.array_equal(a["x"], b["x"]) for (a, _), (b, _) in zip(first, again, strict=True))


def test_samples_are_what_was_given(data, given):
    sample, source = data.val[0], data.val.indices[0]
    assert {name: np.array_equal(sample.input[name], given[name][source]) for name in given} == (
        dict.fromkeys(given, True)
    )
    decoded = TENSORS.decode(sample.input, data.preprocessing)
    assert np.array_equal(decoded["x"], given["x"][source])
    assert data.train.sample_size == 7 * 2 + 7 + 3 + 1 + 1


def test_one_tensor_gives_plain_arrays(store):
    codes = np.arange(60).reshape(20, 3)
    data = load(store, "arrays", inputs={"codes": codes}, targets=np.arange(20) % 2)
    batch, _ = data.train.batch([1, 0])
    assert batch.dtype == np.int64
    assert np.array_equal(batch, codes[data.train.indices[[1, 0]]])
    assert data.sample_shape == (3,)


def test_samples_that_differ_get_a_free_axis_by_themselves(store):
    values = [[1.0] * (2 + i % 3) for i in range(20)]
    data = load(store, "arrays", inputs={"x": values}, targets=np.arange(20) % 2)
    assert data.signature[0] == TensorSpec("x", "float32", ("batch", "x_0"))
    assert data.signature[1].name == "x_0_lengths"


def test_a_dataset_is_opened_again_and_its_parts_are_hashed(data, store):
    again = open_dataset(store, data.ref)
    assert np.array_equal(again.val.batch([0])[0]["x"], data.val.batch([0])[0]["x"])
    path = store.blobs.path(data.artifact.files["test.inputs.x.npy"])
    before, content = path.stat(), path.read_bytes()
    path.chmod(0o600)
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(IntegrityError, match="was changed"):
        open_dataset(store, data.ref).test.batch([0])


def test_each_name_type_and_axis_has_its_own_fingerprint(store, given):
    targets = np.arange(COUNT) % 2
    x, codes = given["x"], given["codes"]
    found = [
        load(store, "arrays", inputs=inputs, axes=axes, targets=targets).fingerprint
        for inputs, axes in (
            ({"x": x, "codes": codes}, None),
            ({"y": x, "codes": codes}, None),
            ({"x": x, "codes": codes.astype(np.int32)}, None),
            ({"x": x, "codes": codes}, {"x": ("time", None)}),
            ({"codes": codes, "x": x}, None),
        )
    ]
    assert len(set(found)) == len(found)


def test_copies_across_splits_are_found_in_all_tensors(store):
    rng = np.random.default_rng(0)
    x = series(rng)
    x[COUNT - 1] = x[0]
    codes = rng.integers(0, 99, COUNT)
    codes[COUNT - 1] = codes[0]
    parts = ["train"] * 20 + ["val"] * 20
    inputs, targets = {"x": x, "codes": codes}, np.arange(COUNT) % 2
    data = load(store, "arrays", inputs=inputs, targets=targets, parts=parts)
    assert [place for f in data.findings if f.kind == "duplicates" for place in f.places] == [
        "row 39 (val) = row 0 (train)"
    ]


X = np.random.default_rng(1).random((COUNT, 2))
RAGGED = series(np.random.default_rng(1))
BAD = {
    "different numbers": ({"x": X, "codes": X[:-1]}, "'x' 40, 'codes' 39"),
    "objects": ({"x": [object()] * COUNT}, "row 0: 'x' is object; numbers, truth values or texts"),
    "complex": ({"x": X.astype(complex)}, "'x' is complex128"),
    "texts and numbers": ({"x": ["a"] * 39 + [1]}, "row 39: 'x' is int64"),
    "ragged ranks": (
        {"x": [*RAGGED[:-1], np.zeros(3)]},
        r"row 39: 'x' has shape (3,); most have 2",
    ),
    "no values": ({"x": [*RAGGED[:-1], np.zeros((0, 2))]}, "row 39: 'x' has shape (0, 2)"),
    "nan": ({"x": [*RAGGED[:-1], np.full((2, 2), np.nan)]}, "row 39: 4 values of 'x' are NaN"),
    "name": ({"a b": X}, "'a b' is no name of a tensor"),
    "taken": ({"x": RAGGED, "x_0_lengths": X}, "'x_0_lengths' is what the lengths of 'x_0'"),
    "free texts": ({"x": [["a"] * (1 + i % 2) for i in range(COUNT)]}, "'x' holds texts"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_wrong_is_told_with_its_place(store, case):
    inputs, message = BAD[case]
    with pytest.raises(InputError) as caught:
        load(store, "arrays", inputs=inputs, targets=np.arange(COUNT) % 2)
    assert message in "\n".join([caught.value.message, *caught.value.problems])
    assert not store.datasets.list()


@pytest.mark.parametrize(
    ("axes", "message"),
    [
        ({"x": ("time",)}, "axes has 1 names for 'x', a sample has 2 axes"),
        ({"q": ("time",)}, "axes names 'q', which is none of the inputs"),
        ({"x": ("batch", None)}, "'batch', as the samples are counted"),
        ({"x": ("time", None), "y": ("time", None)}, "row 0: 'time' = 3 in 'x' and 4 in 'y'"),
    ],
)
def test_axes_that_do_not_fit_are_told(store, axes, message):
    inputs = {"x": RAGGED, "y": [*RAGGED[1:], RAGGED[0]]}
    with pytest.raises(InputError) as caught:
        load(store, "arrays", inputs=inputs, axes=axes, targets=np.arange(COUNT) % 2)
    assert message in "\n".join(caught.value.problems)


def test_other_modalities_and_plain_arrays_refuse_names(store):
    with pytest.raises(InputError, match="problems") as caught:
        load(store, "arrays", inputs={"x": X}, targets=np.arange(COUNT) % 2, modality="table")
    assert "'table' takes one array" in caught.value.problems[0]
    with pytest.raises(InputError, match="one array was given"):
        load(store, "arrays", inputs=X, axes={"x": (None,)}, targets=np.arange(COUNT) % 2)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"x": [[1.0, 2.0]]}, "'codes' is missing"),
        ({"x": [[1.0, 2.0]], "codes": [1, 2, 3], "z": 1}, "unknown tensor 'z'"),
        ({"x": [[1.0, 2.0, 3.0]], "codes": [1, 2, 3]}, "'x' has shape (1, 3); (x_0, 2) is right"),
        ({"x": [[1.0], [2.0, 3.0]], "codes": [1, 2, 3]}, "'x' has rows of different lengths"),
        ({"x": [], "codes": [1, 2, 3]}, "'x' has shape (0,)"),
        ({"x": [[1.0, np.inf]], "codes": [1, 2, 3]}, "1 values of 'x' are NaN, infinite"),
        ({"x": [[1.0, 2.0]], "codes": [1, 2.5, 3]}, "'codes' holds numbers; int64 is right"),
        ({"x": [[1.0, 2.0]], "codes": ["a", "b", "c"]}, "'codes' holds texts; int64 is right"),
    ],
)
def test_a_bad_sample_is_told_with_what_is_right(value, message):
    config, _ = TENSORS.fit(TENSORS.examples(np.random.default_rng(0)).train, None, {})
    with pytest.raises(InputError) as caught:
        TENSORS.decode(value, config)
    assert message in "\n".join(caught.value.problems)


def test_batches_of_people_are_told_apart_from_samples():
    config, _ = TENSORS.fit(TENSORS.examples(np.random.default_rng(0)).train, None, {})
    two = {"x": [[[1, 2]], [[1, 2], [3, 4]]], "codes": [[1, 2, 3], [4, 5, 6]]}
    batch = TENSORS.decode_batch(TENSORS.split_batch(two, config), config)
    assert batch["x_0_lengths"].tolist() == [1, 2]
    assert batch["x"].shape == (2, 2, 2)
    with pytest.raises(InputError, match="different numbers of samples"):
        TENSORS.split_batch({"x": two["x"], "codes": [1, 2, 3]}, config)


class Unpadded(Tensors):
    """Says nothing of padding."""

    def signature(self, config):
        return self.decoded(config)

    def padding(self, config):
        return None

    def collate(self, samples, config):
        return collated(samples, self.decoded(config), None)


def test_what_is_not_padded_comes_in_batches_of_one_size(store, monkeypatch):
    plugin = Unpadded()
    plugin.key = "unpadded"
    monkeypatch.setitem(MODALITIES._loaded, "unpadded", plugin)
    targets = np.arange(COUNT) % 2
    data = load(store, "arrays", inputs={"x": RAGGED}, targets=targets, modality="unpadded")
    assert not data.train.is_padded
    found = list(data.train.batches(8, seed=1))
    assert all(batch.ndim == 3 and len(batch) == len(own) for batch, own in found)
    assert sum(len(own) for _, own in found) == len(data.train)
    assert len({batch.shape[1] for batch, _ in found}) == 5
    assert len(found) > len(data.train) // 8 + 1
    with pytest.raises(InputError, match=r"'x' differs in size: (.|\n)*take batches of one size"):
        data.train.batch(range(8))


class Renames(Tensors):
    def decode(self, value, config):
        return {"wrong": np.zeros(3), "codes": np.zeros(3, np.int64)}


class Casts(Tensors):
    def decode(self, value, config):
        return {**super().decode(value, config), "codes": np.zeros(3, np.int16)}


class Disagrees(Tensors):
    def collate(self, samples, config):
        batch = super().collate(samples, config)
        return {**batch, "x_0_lengths": batch["x_0_lengths"][:-1]}


@pytest.mark.parametrize(
    ("plugin", "rule"),
    [
        (Renames, "tensors 'wrong', 'codes', right are 'x', 'codes'"),
        (Casts, "'codes' is int16"),
        (Disagrees, "'batch' = "),
    ],
)
def test_a_plugin_that_breaks_the_contract_is_named_with_the_rule(store, monkeypatch, plugin, rule):
    broken = plugin()
    broken.key = "broken"
    monkeypatch.setitem(MODALITIES._loaded, "broken", broken)
    inputs = {"x": RAGGED, "codes": np.zeros((COUNT, 3), np.int64)}
    with pytest.raises(ContractError, match="The modality 'broken' breaks its contract") as caught:
        load(store, "arrays", inputs=inputs, targets=np.arange(COUNT) % 2, modality="broken")
    assert rule in "\n".join(caught.value.problems)
    assert not store.datasets.list()
