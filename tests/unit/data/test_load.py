from __future__ import annotations

import numpy as np
import pytest

from workbench.core.errors import CancelledError, InputError, NotFoundError
from workbench.data import load, open_dataset
from workbench.data.load import sniff


def test_digits_are_split_and_stratified(store):
    data = load(store, "digits")
    assert (len(data.train), len(data.val), len(data.test)) == (1258, 269, 270)
    assert data.labels == tuple("0123456789")
    assert (data.modality, data.task, data.sample_shape) == ("image", "classification", (1, 8, 8))
    shares = [np.bincount(part.targets) / len(part) for part in (data.train, data.test)]
    assert np.abs(shares[0] - shares[1]).max() < 0.01


def test_loading_twice_opens_what_is_there(store):
    first = load(store, "digits")
    seen = []
    again = load(store, "digits", progress=lambda *done: seen.append(done))
    assert again.fingerprint == first.fingerprint
    assert again.artifact.digest == first.artifact.digest
    assert not seen
    assert load(store, first) is first
    assert load(store, first.ref).fingerprint == first.fingerprint
    assert open_dataset(store, first.artifact.digest).ref == first.ref


def test_the_fingerprint_changes_with_each_byte_and_option(store, digits):
    images, targets = digits[0][:60], digits[1][:60]
    labels = tuple("0123456789")

    def fingerprint(inputs=images, classes=targets, **options):
        given = {"inputs": inputs, "targets": classes, "labels": labels, **options}
        return load(store, "arrays", **given).fingerprint

    nudged, other = images.copy(), targets.copy()
    nudged[59, 7, 7] += 1
    other[0] = 1
    prints = [
        fingerprint(),
        fingerprint(nudged),
        fingerprint(classes=other),
        fingerprint(seed=1),
        fingerprint(split=(0.5, 0.25, 0.25)),
        fingerprint(augment="shift:1"),
        fingerprint(labels=tuple("abcdefghij")),
        fingerprint(images.astype(np.uint8)),
    ]
    assert len(set(prints)) == len(prints)
    assert fingerprint() == prints[0]


def test_sources_are_told_by_what_is_given(tmp_path, wine, picture_folder):
    assert sniff("digits") == ("digits", {})
    assert sniff(wine) == ("table", {"frame": wine})
    pictures = picture_folder()
    assert sniff(pictures) == ("images", {"path": pictures})
    clips = tmp_path / "clips"
    (clips / "dog").mkdir(parents=True)
    (clips / "dog" / "1.WAV").touch()
    assert sniff(clips) == ("folder", {"path": clips})
    assert sniff("流失.csv")[0] == "table"
    assert sniff("x.parquet")[0] == "table"


@pytest.mark.parametrize(
    ("source", "words"),
    [("digts", "did you mean 'digits'"), ("nowhere/at/all", "neither"), ("no.csv", "no file")],
)
def test_unknown_sources_name_the_nearest(store, source, words):
    options = {"target": "y"} if source.endswith("csv") else {}
    with pytest.raises(NotFoundError, match=words):
        load(store, source, **options)


def test_objects_that_are_no_source(store):
    with pytest.raises(InputError, match="ndarray"):
        load(store, np.zeros((3, 3)))


def test_all_wrong_options_are_told_at_once(store):
    with pytest.raises(InputError) as caught:
        load(store, "digits", sed=1, seed=-1, split=(1, 1), augment="shfit")
    text = str(caught.value)
    assert "did you mean 'seed'" in text
    assert "split" in text
    assert "'shift'" in text


def test_options_given_twice_or_for_a_dataset(store, tmp_path):
    with pytest.raises(InputError, match="twice"):
        load(store, tmp_path, path=tmp_path)
    with pytest.raises(InputError, match="no options"):
        load(store, load(store, "digits"), seed=1)


def test_a_prepared_dataset_whose_files_were_deleted_is_prepared_anew(store):
    data = load(store, "digits")
    for blob in data.artifact.files.values():
        path = store.blobs.path(blob)
        path.chmod(0o600)
        path.unlink()
    assert len(load(store, "digits").test[0].input) == 8


def test_stopping_leaves_no_trace(store):
    def stop(done, total, note):
        raise CancelledError("stopped")

    with pytest.raises(CancelledError):
        load(store, "digits", progress=stop)
    assert not list(store.blobs.all())
    assert not list(store.home.scratch.iterdir())


def test_another_name_is_the_same_data(store):
    first = load(store, "digits")
    named = load(store, "digits", name="数字")
    assert named.fingerprint == first.fingerprint
    assert named.ref.startswith("dataset:数字@")
    assert open_dataset(store, named.ref).artifact.files == first.artifact.files
