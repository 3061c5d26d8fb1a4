from __future__ import annotations

import numpy as np
import pytest

from workbench.core.errors import InputError
from workbench.data import load


@pytest.fixture
def colors():
    rng = np.random.default_rng(0)
    return rng.integers(0, 255, (60, 9, 11, 3), np.uint8), np.arange(60) % 3


def test_color_pictures_with_chinese_labels(store, colors):
    images, targets = colors
    data = load(
        store, "arrays", inputs=images, targets=targets, modality="image",
        labels=["猫", "狗", "鸟"], seed=0,
    )  # fmt: skip
    assert data.labels == ("猫", "狗", "鸟")
    assert data.sample_shape == (3, 9, 11)
    assert data.train.inputs.dtype == np.uint8
    assert np.array_equal(data.test[4].input, images[data.test.indices[4]])
    assert data.normalization[0].shape == (3, 1, 1)


def test_channels_first_and_float(store, colors):
    images = np.moveaxis(colors[0], -1, 1) / 255.0
    data = load(store, "arrays", inputs=images, targets=colors[1])
    assert data.sample_shape == (3, 9, 11)
    assert np.allclose(data.val[0].input, images[data.val.indices[0]])
    assert data.preprocessing.high == pytest.approx(images[data.train.indices].max())


def test_rows_and_values(store):
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(100, 4))
    data = load(store, "arrays", inputs=rows, targets=rows @ [1, 2, 3, 4], columns=tuple("abcd"))
    assert (data.modality, data.task, data.labels) == ("table", "regression", ())
    assert data.train.targets.dtype == np.float32
    assert np.allclose(data.test[0].input, rows[data.test.indices[0]])
    assert data.test[0].target == pytest.approx(
        float(rows[data.test.indices[0]] @ [1, 2, 3, 4]), rel=1e-5
    )


def test_names_as_targets_and_lists_as_inputs(store):
    data = load(store, "arrays", inputs=[[i, i % 7] for i in range(40)], targets=["b", "a"] * 20)
    assert data.labels == ("a", "b")


def test_given_parts_are_kept(store, colors):
    parts = ["train"] * 40 + ["val"] * 10 + ["test"] * 10
    data = load(store, "arrays", inputs=colors[0], targets=colors[1], parts=parts)
    assert data.test.indices.tolist() == list(range(50, 60))


def test_groups_and_time(store, colors):
    groups = np.arange(60) // 4
    data = load(store, "arrays", inputs=colors[0], targets=colors[1], groups=groups)
    sets = [set(groups[part.indices]) for part in (data.train, data.val, data.test)]
    assert not sets[0] & sets[1]
    assert not sets[0] & sets[2]
    data = load(store, "arrays", inputs=colors[0], targets=colors[1], time=np.arange(60)[::-1])
    assert data.test.indices.max() < data.train.indices.min()


def test_every_bad_place_is_told_at_once_and_nothing_is_stored(store):
    images = np.random.default_rng(0).random((20, 4, 4))
    images[3, 0, 0], images[7] = np.nan, np.inf
    with pytest.raises(InputError) as caught:
        load(store, "arrays", inputs=images, targets=[0] * 10 + [5] + [1] * 9, labels=["a", "b"])
    assert caught.value.problems == (
        "row 3: 1 values are NaN or infinite",
        "row 7: 16 values are NaN or infinite",
        "row 10: target 5 is none of 0…1 (indices into 2 labels)",
    )
    assert not list(store.blobs.all())
    assert not list(store.home.scratch.iterdir())


@pytest.mark.parametrize(
    ("inputs", "targets", "words"),
    [
        ([[1, 2], [3, 4], [5]], [0, 1, 0], ["row 2: shape (1,), most have (2,)"]),
        ([[1, 2]] * 4, [0, 1, None, float("nan")], ["row 2: the target is missing", "row 3"]),
        ([[1, 2]] * 4, [0, 0, 1], ["targets has 3 entries, inputs has 4"]),
        ([[1, 2]] * 5, [0, 0, 0, 0, 1], ["'1' has one sample (row 4)"]),
        (np.zeros((0, 2)), [], ["empty"]),
        ([["a", "b"]] * 4, [0, 0, 1, 1], ["numbers"]),
        (np.zeros((4, 2, 2, 2, 2)), [0, 0, 1, 1], ["N×H×W"]),
        ([[1, 2]] * 4, [[0, 1]] * 4, ["targets have shape (4, 2)"]),
    ],
)
def test_bad_arrays(store, inputs, targets, words):
    with pytest.raises(InputError) as caught:
        load(store, "arrays", inputs=inputs, targets=targets, task="classification")
    for word in words:
        assert word in str(caught.value)


def test_a_negative_target_is_outside_the_labels(store):
    with pytest.raises(InputError, match="target -1"):
        load(store, "arrays", inputs=np.ones((4, 2)), targets=[0, 1, -1, 0], labels=["a", "b"])


def test_bad_words_for_parts(store):
    with pytest.raises(InputError, match="row 1: split 'tst'"):
        load(store, "arrays", inputs=np.ones((2, 2)), targets=[0, 0], parts=["train", "tst"])
