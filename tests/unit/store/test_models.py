import multiprocessing
import sqlite3

import pytest

from workbench.core.errors import (
    ConflictError,
    InputError,
    IntegrityError,
    NotFoundError,
    StateError,
)
from workbench.store import open_store


def manifest(store, content=b"model"):
    blob = store.blobs.put_bytes(content, ".onnx")
    return {"files": {"model.onnx": blob.to_json()}, "metrics": {"val_accuracy": 0.5}}


@pytest.fixture
def three(store):
    for content in (b"one", b"two", b"three"):
        store.models.register("digits", manifest(store, content))
    return store.models


def test_registering_the_same_twice_is_one_version(store):
    first = store.models.register("digits", manifest(store))
    again = store.models.register("digits", manifest(store))
    assert (first.number, again.number) == (1, 1)
    assert store.models.register("other", manifest(store)).number == 1


def test_a_wrong_name_is_refused_before_anything_is_written(store):
    with pytest.raises(InputError):
        store.models.register("../x", manifest(store))
    assert store.models.names() == []


def test_twice_rolled_back_never_brings_the_bad_one_back(three):
    for number in (1, 2, 3):
        three.promote("digits", number)
    assert three.rollback("digits").number == 2
    assert three.rollback("digits").number == 1
    with pytest.raises(StateError, match="nothing to go back to"):
        three.rollback("digits")
    assert three.resolve("model:digits@champion").number == 1


def test_a_revoked_version_needs_force(three):
    three.promote("digits", 1)
    three.promote("digits", 2)
    three.rollback("digits")
    with pytest.raises(StateError, match="force"):
        three.promote("digits", 2)
    three.promote("digits", 2, force=True)
    assert three.alias("digits", "champion") == 2


def test_promoting_back_then_rolling_back_skips_the_revoked(three):
    for number in (1, 2, 1):
        three.promote("digits", number)
    assert three.rollback("digits").number == 2
    with pytest.raises(StateError):
        three.rollback("digits")


def test_a_stale_promotion_is_refused(three):
    three.promote("digits", 1)
    with pytest.raises(ConflictError):
        three.promote("digits", 3, expected=2)
    assert three.alias("digits", "champion") == 1


def test_what_an_alias_points_at_cannot_be_deleted(three):
    three.promote("digits", 3)
    with pytest.raises(StateError, match="champion"):
        three.delete("digits", 3)
    three.delete("digits", 2)
    with pytest.raises(NotFoundError):
        three.get("digits", 2)


def test_the_number_of_a_deleted_version_is_never_used_again(three, store):
    three.delete("digits", 3)
    assert three.register("digits", manifest(store, b"four")).number == 4


def test_changed_bytes_are_refused(three, store):
    version = three.get("digits", 2)
    path = store.blobs.path(version.files["model.onnx"])
    path.chmod(0o644)
    path.write_bytes(b"twO")
    with pytest.raises(IntegrityError, match=r"model:digits@2, file 'model.onnx': .* changed"):
        three.verify(version)
    three.verify(three.get("digits", 1))


def test_a_changed_manifest_or_number_is_refused(three, store):
    with sqlite3.connect(store.home.database) as outside:
        outside.execute("DROP TRIGGER versions_never_change")
        outside.execute("UPDATE versions SET manifest = replace(manifest, '0.5', '0.9')")
    with pytest.raises(IntegrityError, match="manifest"):
        three.verify(three.get("digits", 1))


def test_a_version_under_another_number_has_no_valid_signature(three, store):
    with sqlite3.connect(store.home.database) as outside:
        outside.execute("DROP TRIGGER versions_never_change")
        outside.execute("UPDATE versions SET number = 9 WHERE number = 1")
    with pytest.raises(IntegrityError, match="signature"):
        three.verify(three.get("digits", 9))


def test_unknown_names_get_the_nearest(three):
    with pytest.raises(NotFoundError, match="did you mean 'digits'"):
        three.resolve("model:digit")
    three.promote("digits", 1)
    with pytest.raises(NotFoundError, match="did you mean 'champion'"):
        three.resolve("model:digits@champoin")


def _register_many(root, worker):
    store = open_store(root)
    for i in range(10):
        store.models.register("digits", manifest(store, f"{worker}-{i}".encode()))


def test_many_writers_lose_no_version(store):
    spawn = multiprocessing.get_context("spawn")
    workers = [spawn.Process(target=_register_many, args=(store.home.root, i)) for i in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    numbers = [version.number for version in store.models.versions("digits")]
    assert numbers == list(range(1, 41))
    assert store.audit.verify() == 40
