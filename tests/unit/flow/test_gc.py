"""Garbage collection keeps what anything needs and frees the rest."""

import os
import time

import pytest

import workbench as wb


def make_old(store):
    before = time.time() - 7200
    for path in store.blobs.all():
        os.utime(path, (before, before))


def test_what_versions_runs_studies_and_datasets_need_is_kept(ready, tmp_path):
    space = ready.space
    variant = space.study(ready.run).measure("half:fp16")
    space.register(variant, "digits")
    space.promote("digits", 1)
    make_old(space.store)
    assert space.gc()["files"] <= 1, "the baseline's outputs, which can be computed again"
    assert space.gc(dry_run=True)["files"] == 0
    assert space.verify("model:digits@1").number == 1
    assert space.evaluate(ready.run)["accuracy"] > 0.8
    assert space.evaluate(variant)["accuracy"] > 0.8
    assert space.load(ready.data.ref).test[0].input.shape == (8, 8)


def test_what_nothing_needs_any_more_is_freed(ready):
    space = ready.space
    run = space.train(ready.data, "mlp", epochs=1, threads=1, hidden=[48])
    space.register(run, "short")
    make_old(space.store)
    space.gc()
    assert space.gc(dry_run=True)["files"] == 0
    space.delete(run.ref)
    space.delete("model:short@1")
    would = space.gc(dry_run=True)
    assert would["files"] >= 2
    assert space.gc() == would
    assert space.gc()["files"] == 0
    assert space.evaluate(ready.run)["accuracy"] > 0.8
    again = space.train(ready.data, "mlp", epochs=1, threads=1, hidden=[48])
    assert space.register(again, "short").size_bytes > 0


def test_young_files_are_left_and_what_is_pointed_at_cannot_be_deleted(ready):
    space = ready.space
    space.store.blobs.put_bytes(b"somebody is about to refer to this")
    assert space.gc()["files"] == 0
    space.register(ready.run, "digits")
    space.promote("digits", 1)
    with pytest.raises(wb.StateError, match="champion"):
        space.delete("model:digits@1")
    with pytest.raises(wb.InputError, match="model:name@3"):
        space.delete("dataset:digits")
