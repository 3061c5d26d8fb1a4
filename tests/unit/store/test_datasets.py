from __future__ import annotations

import pytest

from workbench.core.errors import InputError, NotFoundError
from workbench.store.gc import collect

ONE, TWO = "a" * 64, "aaaaaaab" + "0" * 56


def test_a_dataset_is_found_by_ref_and_fingerprint(store):
    store.datasets.put(ONE, "数字", "d" * 64)
    assert store.datasets.get("dataset:数字@aaaaaa").artifact == "d" * 64
    assert store.datasets.find(ONE).ref == "dataset:数字@aaaaaa"
    assert store.datasets.find(TWO) is None
    store.datasets.put(ONE, "digits", "e" * 64)
    assert [record.name for record in store.datasets.list()] == ["digits"]


def test_refs_that_fit_none_or_several(store):
    store.datasets.put(ONE, "digits", "d" * 64)
    store.datasets.put(TWO, "digits", "e" * 64)
    with pytest.raises(InputError, match="2 datasets"):
        store.datasets.get("dataset:digits@aaaaaa")
    assert store.datasets.get("dataset:digits@aaaaaaab").fingerprint == TWO
    with pytest.raises(NotFoundError, match="dataset:digits@aaaaaa"):
        store.datasets.get("dataset:wine@aaaaaa")
    with pytest.raises(InputError, match="not the whole ref"):
        store.datasets.get("dataset:digits@*")
    with pytest.raises(InputError):
        store.datasets.get("dataset:digits")


def test_what_is_listed_is_kept_by_gc(store):
    artifact = store.artifacts.save("dataset", {"a.bin": b"1"}, {})
    store.datasets.put(ONE, "digits", artifact.digest)
    collect(store, young_s=0)
    assert store.artifacts.get(artifact.digest)
    store.datasets.delete(ONE)
    collect(store, young_s=0)
    with pytest.raises(NotFoundError):
        store.artifacts.get(artifact.digest)
