"""A workspace of the version before is sealed once, as it is; a lost key is never replaced."""

import sqlite3
from contextlib import closing

import pytest

from workbench.core.errors import IntegrityError
from workbench.store import open_store
from workbench.store.checkpoints import FILE
from workbench.store.findings import tampered


def make_old(root):
    """Takes away what the version before did not have."""
    with closing(sqlite3.connect(root / "workbench.db")) as outside, outside:
        outside.execute("DROP TABLE seals")
        outside.execute("DROP INDEX audit_by_subject")
        outside.execute("PRAGMA user_version = 1")
    (root / "keys" / "sealed").unlink()


@pytest.fixture
def root(store):
    for content in (b"one", b"two"):
        blob = store.blobs.put_bytes(content, ".onnx")
        store.models.register("digits", {"files": {"model.onnx": blob.to_json()}})
    store.models.promote("digits", 1)
    store.models.promote("digits", 2)
    store.cache.put("k", {"n": 1})
    run = store.runs.create("train", {}, {})
    (store.runs.directory(run.id) / FILE).write_bytes(b"of the version before")
    make_old(store.home.root)
    return store.home.root


def test_what_is_there_is_sealed_once_and_the_log_tells(root):
    store = open_store(root)
    assert store.audit.entries("workspace")[-1].action == "seal"
    assert store.audit.entries("workspace")[-1].data["rows"] == 2
    assert store.models.alias("digits", "champion") == 2
    assert store.models.rollback("digits").number == 1
    assert store.cache.get("k") == {"n": 1}
    assert list(tampered(store)) == []
    assert len(open_store(root).audit.entries("workspace")) == 1


def test_seals_that_were_thrown_away_are_missed_and_not_made_again(root):
    open_store(root)
    noted = (root / "keys" / "sealed").read_text()
    make_old(root)
    (root / "keys" / "sealed").write_text(noted)
    store = open_store(root)
    with pytest.raises(IntegrityError, match="lost its head"):
        store.models.alias("digits", "champion")
    with pytest.raises(IntegrityError, match="no seal"):
        store.cache.get("k")
    assert any("lost its head" in item.words for item in tampered(store))


def test_without_its_key_an_old_workspace_lists_and_says_what_is_missing(root):
    key = root / "keys" / "signing.pem"
    kept = key.read_bytes()
    key.unlink()
    store = open_store(root)
    assert [version.number for version in store.models.versions("digits")] == [1, 2]
    assert store.models.aliases("digits") == {"champion": 2}
    assert len(store.audit.entries()) == 4
    for use in (lambda: store.models.promote("digits", 1), lambda: store.cache.put("x", {})):
        with pytest.raises(IntegrityError, match=r"signing\.pem is missing"):
            use()
    assert [item.kind for item in tampered(store)] == ["key"]
    assert not key.exists()
    key.write_bytes(kept)
    assert open_store(root).models.alias("digits", "champion") == 2


def test_a_lowered_counter_gives_no_number_twice(store):
    for content in (b"one", b"two"):
        blob = store.blobs.put_bytes(content, ".onnx")
        store.models.register("digits", {"files": {"model.onnx": blob.to_json()}})
    store.models.delete("digits", 2)
    store.db.execute("UPDATE models SET last_number = 1")
    blob = store.blobs.put_bytes(b"three", ".onnx")
    assert store.models.register("digits", {"files": {"m.onnx": blob.to_json()}}).number == 3


def test_a_revoked_version_stays_revoked_though_the_table_forgot(store):
    for content in (b"one", b"two"):
        blob = store.blobs.put_bytes(content, ".onnx")
        store.models.register("digits", {"files": {"model.onnx": blob.to_json()}})
        store.models.promote("digits", store.models.versions("digits")[-1].number)
    store.models.rollback("digits")
    store.db.execute("DELETE FROM alias_revoked")
    with pytest.raises(Exception, match="was rolled back"):
        store.models.promote("digits", 2)
