"""Stored values that cannot be read are told in words; listings leave them out."""

import errno
import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

import pytest

from workbench.core.errors import NotFoundError, StorageError, WorkbenchError
from workbench.core.ids import digest_bytes
from workbench.store import open_store
from workbench.store.findings import tampered
from workbench.store.gc import collect

_KEPT = "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'"

STATEMENTS = {
    "run config": "UPDATE runs SET config = '{'",
    "run outputs": "UPDATE runs SET outputs = '[1]'",
    "run id": "UPDATE runs SET id = x'ff00'",
    "run error": "UPDATE runs SET error = 'x'",
    "manifest": "UPDATE versions SET manifest = '{'",
    "manifest of a list": "UPDATE versions SET manifest = '[]'",
    "manifest blob": "UPDATE versions SET manifest = x'ff'",
    "signature": "UPDATE versions SET signature = x'ff'",
    "alias number": "PRAGMA foreign_keys=OFF; UPDATE aliases SET number = 'x'",
    "alias history": "UPDATE alias_history SET number = 'x'",
    "created": "UPDATE versions SET created = x'ff'",
    "name": "PRAGMA foreign_keys=OFF; UPDATE models SET name = x'ff'",
    "counter": "UPDATE models SET last_number = 'x'",
    "artifact digest": "UPDATE artifacts SET digest = 'garbage'",
    "artifact files": "UPDATE artifacts SET files = '{\"a\": 1}'",
    "artifact blob": "UPDATE artifacts SET meta = x'00ff'",
    "dataset": "UPDATE datasets SET artifact = x'00ff', name = 3",
    "study": "UPDATE studies SET config = 'x'",
    "variant": "UPDATE variants SET measured = 'x'",
    "result": "UPDATE cache SET value = 'x'",
    "result key": "UPDATE cache SET key = x'ff'",
    "audit data": "UPDATE audit SET data = '{' WHERE id = 2",
    "audit actor": "UPDATE audit SET actor = x'ff' WHERE id = 2",
    "head": "UPDATE seals SET seal = 'x' WHERE kind = 'audit'",
    "seals": "UPDATE seals SET seal = x'ff'",
    "seals of other letters": "UPDATE seals SET seal = 'é'",
    "census": "UPDATE seals SET seal = 'x y' WHERE kind = 'census'",
    "no text": "UPDATE runs SET kind = CAST(x'ff' AS TEXT)",
    "no table": "DROP TABLE cache",
}
FILES = {
    "process": ("runs/{run}/process.json", "{"),
    "end": ("runs/{run}/ended.json", "[]"),
    "key": ("keys/signing.pem", "x"),
    "no key": ("keys/signing.pem", ""),
    "trusted": ("keys/trusted.pem", "x"),
}
VERBS = {
    "models": lambda store: [store.models.versions(name) for name in store.models.names()],
    "aliases": lambda store: (
        store.models.aliases("digits"),
        store.models.history("digits", "champion"),
    ),
    "runs": lambda store: store.runs.list(),
    "datasets": lambda store: store.datasets.list(),
    "studies": lambda store: store.studies.all(),
    "log": lambda store: store.audit.entries(),
    "audit": lambda store: store.audit.verify(),
    "no such model": lambda store: store.models.get("digit", 1),
    "resolve": lambda store: store.models.resolve("model:digits@champion"),
    "verify": lambda store: store.models.verify(store.models.resolve("model:digits@1")),
    "rollback": lambda store: store.models.rollback("digits"),
    "promote": lambda store: store.models.promote("digits", 1),
    "gc": lambda store: collect(store, young_s=0),
}


@pytest.fixture
def filled(store):
    for content in (b"one", b"two"):
        blob = store.blobs.put_bytes(content, ".onnx")
        store.models.register("digits", {"files": {"model.onnx": blob.to_json()}})
        store.models.promote("digits", len(store.models.versions("digits")))
    artifact = store.artifacts.save("dataset", {"a.bin": b"a"}, {})
    store.datasets.put("f" * 64, "digits", artifact.digest)
    store.runs.create("train", {}, {})
    study = store.studies.open(artifact.digest, artifact.digest, {})
    store.studies.add_variant(study.id, artifact.digest, "half", {"score": 1})
    store.cache.put("k", {"n": 1})
    store.db.close()
    return store.home.root


def change(root, statement):
    with closing(sqlite3.connect(root / "workbench.db")) as outside, outside:
        kept = outside.execute(_KEPT).fetchall()
        for name, _ in kept:
            outside.execute(f"DROP TRIGGER {name}")
        for part in statement.split("; "):
            outside.execute(part)
        for _, sql in kept:
            outside.execute(sql)


def tried(root):
    """Tries every verb, which works or tells what is wrong; returns what doctor says."""
    for verb in VERBS.values():
        with suppress(WorkbenchError):
            verb(open_store(root))
    return list(tampered(open_store(root)))


@pytest.mark.parametrize("statement", STATEMENTS.values(), ids=STATEMENTS)
def test_what_cannot_be_read_in_the_database_is_told(filled, statement):
    change(filled, statement)
    assert list(tampered(open_store(filled))) or "error" in statement
    tried(filled)


@pytest.mark.parametrize(("name", "text"), FILES.values(), ids=FILES)
def test_what_cannot_be_read_in_a_file_is_told(filled, name, text):
    run = open_store(filled).runs.list()[0].id
    path = filled / name.format(run=run)
    if name == "keys/trusted.pem":
        path = filled / "keys" / "trusted" / "x.pem"
        path.parent.mkdir()
    path.write_text(text)
    found = tried(filled)
    assert bool(found) == name.endswith(".pem")
    assert len(open_store(filled).runs.list()) == 1


@pytest.mark.parametrize("number", [10**20, 2**63, 0, -1])
def test_numbers_beyond_those_of_the_database_are_no_versions(filled, number):
    models = open_store(filled).models
    for verb in (models.get, models.promote, models.delete, models.proven):
        with pytest.raises(NotFoundError, match="has no version"):
            verb("digits", number)
    with pytest.raises(NotFoundError, match="has no version"):
        models.resolve(f"model:digits@{'9' * 5000}")
    assert open_store(filled).runs.list(limit=10**20)


def test_promoting_puts_an_alias_right_whose_history_was_changed(filled):
    change(filled, "DELETE FROM alias_history")
    change(filled, "UPDATE aliases SET number = 1")
    store = open_store(filled)
    assert {item.kind for item in tampered(store)} == {"alias"}
    store.models.promote("digits", 2)
    assert list(tampered(store)) == []
    assert [entry.action for entry in store.audit.entries()][-1] == "mend"
    assert store.models.rollback("digits").number == 1


def test_registering_puts_a_counter_and_a_hidden_model_right(filled):
    store = open_store(filled)
    blob = store.blobs.put_bytes(b"three", ".onnx")
    for number, statement in enumerate(
        ("DELETE FROM models", "UPDATE models SET last_number = 99"), 3
    ):
        change(filled, statement)
        assert {item.kind for item in tampered(store)} == {"model"}
        manifest = {"files": {"model.onnx": blob.to_json()}, "n": number}
        assert store.models.register("digits", manifest).number == number
        assert list(tampered(store)) == []


def test_an_artifact_that_was_changed_is_put_right_by_making_it_anew(filled):
    store = open_store(filled)
    artifact = store.artifacts.get(store.datasets.list()[0].artifact)
    path = store.artifacts.place(artifact, "a.bin")
    path.chmod(0o600)
    for text in ("b", ""):
        path.write_text(text)
        assert open_store(filled).artifacts.adopt(artifact.digest) is None
        store.artifacts.save("dataset", {"a.bin": b"a"}, {})
        assert digest_bytes(path.read_bytes()) == artifact.files["a.bin"].digest
        path.chmod(0o600)
    change(filled, "UPDATE artifacts SET meta = '{\"n\": 1}'")
    assert store.artifacts.adopt(artifact.digest) is None
    assert store.artifacts.save("dataset", {"a.bin": b"a"}, {}).meta == {}
    assert list(tampered(store)) == []
    assert store.audit.entries()[-1].action == "mend"


def test_keys_are_not_made_anew_in_the_way_of_a_backup(filled):
    (filled / "keys").rename(filled.parent / "backup")
    assert [item.kind for item in tampered(open_store(filled))] == ["key"]
    assert not (filled / "keys").exists()
    (filled.parent / "backup").rename(filled / "keys")
    assert list(tampered(open_store(filled))) == []


def test_a_path_too_long_is_told(tmp_path):
    with pytest.raises(StorageError, match="too long"):
        open_store(tmp_path / ("x" * (os.pathconf(tmp_path, "PC_NAME_MAX") + 1)))


def test_a_run_in_a_workspace_that_can_only_be_read_is_told(store, monkeypatch):
    def refused(path, *args, **kwargs):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "mkdir", refused)
    with pytest.raises(StorageError, match="The run cannot be used: you may not do that there"):
        store.runs.create("pipeline", {}, {})


def test_gc_says_where_nothing_can_be_removed(filled, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)
    with pytest.raises(StorageError, match=r"Nothing can be removed from .* only be read"):
        collect(open_store(filled))
    assert collect(open_store(filled), dry_run=True)["artifacts"] == 0
