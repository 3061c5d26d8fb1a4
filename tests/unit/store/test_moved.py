"""A workspace that was moved or removed while it was open is told, and makes no ghost."""

import shutil

import pytest

from workbench.core.errors import StorageError
from workbench.store import open_store
from workbench.store.gc import collect

VERBS = {
    "bytes": lambda store: store.blobs.put_bytes(b"one", ".bin"),
    "artifact": lambda store: store.artifacts.save("x", {"a.bin": b"one"}, {}),
    "run": lambda store: store.runs.create("train", {}, {}),
    "result": lambda store: store.cache.put("k", {}),
    "listing": lambda store: store.models.names(),
    "trust": lambda store: store.signer.trust("a", b"b"),
    "gc": lambda store: collect(store, young_s=0),
}


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("is_removed", [False, True])
def test_it_is_told_and_no_ghost_is_made(store, verb, is_removed):
    store.blobs.put_bytes(b"zero", ".bin")
    root = store.home.root
    shutil.rmtree(root) if is_removed else root.rename(root.with_name("elsewhere"))
    with pytest.raises(StorageError, match="was moved or removed") as caught:
        VERBS[verb](store)
    assert "where it is now" in caught.value.hint
    assert not root.exists()


def test_a_lock_of_a_run_makes_no_ghost(store):
    run = store.runs.create("train", {}, {})
    root = store.home.root
    root.rename(root.with_name("elsewhere"))
    with pytest.raises(StorageError, match="was moved or removed"):
        store.runs.lock(run.id)
    assert not root.exists()


def test_a_backup_put_in_place_of_the_database_is_read(store):
    backup = store.home.root / "backup.db"
    store.cache.put("k", {"n": 1})
    store.db.close()
    shutil.copyfile(store.home.database, backup)
    store.cache.put("k", {"n": 2})
    for part in store.home.root.glob("workbench.db-*"):
        part.unlink()
    backup.replace(store.home.database)
    assert open_store(store.home.root).cache.get("k") == {"n": 1}
    assert store.cache.get("k") == {"n": 1}
