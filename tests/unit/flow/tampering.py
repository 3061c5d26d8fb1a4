"""The table of every stored kind × every tampering: how, which verb meets it, and the words."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from workbench.core.ids import canonical_json, digest_bytes, digest_json
from workbench.engine.callbacks import FitState
from workbench.families.network import load_network
from workbench.flow.workspace import Workspace
from workbench.serving.sources import StoreRegistry, find_source
from workbench.store.checkpoints import FILE
from workbench.training.checkpoint import Checkpoint, resumable_state, save_checkpoint

WORK = "w" * 64
_SCHEMA = "SELECT sql FROM sqlite_schema WHERE name = ?"
_TRIGGERS = ("versions_never_change", "audit_never_changes", "audit_never_forgets")


@dataclass
class Filled:
    """A workspace with something of every kind: refs and the row of a deleted version."""

    root: Path
    data: str
    run: str
    study: str
    variant: str
    deleted: tuple[Any, ...]

    @property
    def space(self) -> Workspace:
        return Workspace(self.root, inline=True)

    @property
    def checkpoint(self) -> Path:
        return self.root / "runs" / self.run.removeprefix("run:") / FILE


def fill(root: Path, data: str, run: str) -> Filled:
    """Adds what is missing to a workspace with a trained network and its study."""
    space = Workspace(root, inline=True)
    study = space.study(run, data)
    space.register(run, "digits")
    for number in (1, 2, 3):
        blob = space.store.blobs.put_bytes(b"model %d" % number, ".onnx")
        space.store.models.register("digits", {"files": {"model.onnx": blob.to_json()}})
    row = space.store.db.one("SELECT * FROM versions WHERE number = 4")
    space.delete("model:digits@4")
    for number in (1, 3, 2):
        space.promote("digits", number)
    space.rollback("digits")
    space.promote("digits", 1, alias="old")
    filled = Filled(root, data, run, study.ref, study.baseline.ref, tuple(row))
    save_checkpoint(filled.checkpoint, Checkpoint(WORK, _state(0.5)), space.store.checkpoints)
    return filled


def sql(filled: Filled, *statements: str, values: tuple[Any, ...] = ()) -> None:
    """Changes the database as somebody with a shell would."""
    with closing(sqlite3.connect(filled.root / "workbench.db")) as outside, outside:
        kept = [outside.execute(_SCHEMA, (trigger,)).fetchone()[0] for trigger in _TRIGGERS]
        for trigger in _TRIGGERS:
            outside.execute(f"DROP TRIGGER {trigger}")
        for statement in statements:
            assert outside.execute(statement, values).rowcount != 0, statement
        for trigger in kept:
            outside.execute(trigger)


def _state(value: float) -> FitState:
    weights = {"weight": torch.full((4,), value)}
    return FitState(3, 30, weights, {}, weights, 2, (0.5, -0.1), ({"train_loss": 0.25},))


def _file(filled: Filled, kind: str, name: str) -> Path:
    store = filled.space.store
    row = store.db.one("SELECT files FROM artifacts WHERE kind = ?", kind)
    digest = json.loads(row["files"])[name]["digest"]
    return next(store.blobs.path(b) for b in _blobs(row["files"]) if b.digest == digest)


def _blobs(files: str) -> Any:
    from workbench.store import Blob

    return [Blob.from_json(item) for item in json.loads(files).values()]


def _rewrite(path: Path, change: Callable[[bytes], bytes]) -> None:
    path.chmod(0o600)
    path.write_bytes(change(path.read_bytes()))


def _last_byte(filled: Filled, kind: str, name: str) -> None:
    _rewrite(_file(filled, kind, name), lambda data: data[:-1] + bytes([data[-1] ^ 1]))


def _shift_labels(filled: Filled) -> None:
    path = _file(filled, "dataset", "train.targets.npy")
    path.chmod(0o600)
    np.save(path, (np.load(path) + 1) % 10)


def _own_dataset(filled: Filled) -> None:
    """A consistent artifact with shifted labels, listed under the original fingerprint."""
    store = filled.space.store
    row = store.db.one("SELECT * FROM artifacts WHERE kind = 'dataset'")
    files, meta = json.loads(row["files"]), json.loads(row["meta"])
    content = _file(filled, "dataset", "val.targets.npy").read_bytes()
    forged = content[:-1] + bytes([content[-1] ^ 1])
    digest = digest_bytes(forged)
    place = filled.root / "blobs" / "sha256" / digest[:2] / f"{digest[2:]}.npy"
    place.parent.mkdir(exist_ok=True)
    place.write_bytes(forged)
    files["val.targets.npy"] = {"digest": digest, "size_bytes": len(forged), "suffix": ".npy"}
    identity = digest_json({"kind": "dataset", "files": files, "meta": meta})
    values = (identity, "dataset", json.dumps(files), row["meta"], row["created"])
    sql(filled, "INSERT INTO artifacts VALUES (?, ?, ?, ?, ?)", values=values)
    sql(filled, "UPDATE datasets SET artifact = ?", values=(identity,))


def _new_key(filled: Filled) -> None:
    key = filled.root / "keys" / "signing.pem"
    key.unlink()
    other = Workspace(filled.root.parent / "other", inline=True)
    key.write_bytes((other.store.home.keys / "signing.pem").read_bytes())


def _put_back(filled: Filled) -> None:
    places = ", ".join("?" * len(filled.deleted))
    sql(filled, f"INSERT INTO versions VALUES ({places})", values=filled.deleted)


def _manifest(filled: Filled) -> None:
    """Metrics changed, the digest made to fit."""
    row = filled.space.store.db.one("SELECT manifest FROM versions WHERE number = 1")
    manifest = json.loads(row["manifest"])
    manifest["metrics"]["val_accuracy"] = 0.99999
    text = canonical_json(manifest)
    change = "UPDATE versions SET manifest = ?, digest = ? WHERE number = 1"
    sql(filled, change, values=(text.decode(), digest_bytes(text)))


def _checkpoint(filled: Filled) -> None:
    save_checkpoint(filled.checkpoint, Checkpoint(WORK, _state(0.75)))


def _of_another_run(filled: Filled) -> None:
    """The file of another run, and its seal, both under this run's name."""
    store = filled.space.store
    other = store.runs.create("train", {}, {})
    path = store.runs.directory(other.id) / FILE
    save_checkpoint(path, Checkpoint(WORK, _state(0.75)), store.checkpoints)
    filled.checkpoint.write_bytes(path.read_bytes())
    run = filled.checkpoint.parent.name
    sql(
        filled,
        "INSERT INTO seals SELECT kind, replace(key, ?1, ?2), seal FROM seals WHERE key LIKE "
        "?1 || '/%'",
        values=(other.id, run),
    )


def _cut_and_moved(filled: Filled) -> None:
    sql(
        filled,
        "DELETE FROM audit WHERE id = (SELECT max(id) FROM audit)",
        "DELETE FROM aliases WHERE alias = 'old'",
        "DELETE FROM alias_history WHERE alias = 'old'",
    )


def _statement(*statements: str) -> Callable[[Filled], None]:
    return lambda filled: sql(filled, *statements)


def _schema(*statements: str) -> Callable[[Filled], None]:
    def change(filled: Filled) -> None:
        with closing(sqlite3.connect(filled.root / "workbench.db")) as outside, outside:
            for statement in statements:
                outside.execute(statement)

    return change


def _verb(call: Callable[[Workspace, Filled], Any]) -> Callable[[Filled], Any]:
    return lambda filled: call(filled.space, filled)


_train = _verb(lambda s, f: s.train(f.data, "mlp", epochs=1, threads=1, hidden=[4]))
_load = _verb(lambda s, f: s.load(f.data))
_register_run = _verb(lambda s, f: s.register(f.run, "again"))
_register_variant = _verb(lambda s, f: s.register(f.variant, "again"))
_study = _verb(lambda s, f: s.study(f.study).variants)
_audit = _verb(lambda s, f: s.store.audit.verify())
_serve = _verb(lambda s, f: find_source("model:digits@champion", s.store))
_follow = _verb(lambda s, f: StoreRegistry(s.store).number("digits", "champion"))
_roll_back = _verb(lambda s, f: s.rollback("digits"))
_resume = _verb(lambda s, f: resumable_state(f.checkpoint, WORK, s.store.checkpoints))
_network = _verb(
    lambda s, f: load_network(s.store, s.store.artifacts.get(s.run(f.run).record.outputs["model"]))
)


_measure = _verb(
    lambda s, f: s.store.studies.add_variant(f.study[6:], WORK, "half", {"score": 0.5})
)
_write = _verb(lambda s, f: s.store.cache.put("k", {}))


def _verify(number: int) -> Callable[[Filled], Any]:
    return _verb(lambda s, f: s.verify(f"model:digits@{number}"))


@dataclass(frozen=True)
class Case:
    """One tampering. `verb` is who meets it first; None if only `doctor` can."""

    kind: str
    how: str
    change: Callable[[Filled], None]
    verb: Callable[[Filled], Any] | None
    words: str

    @property
    def name(self) -> str:
        return re.sub(r"\W+", "-", f"{self.kind}: {self.how}")


# Every table and folder, and the kind whose rows in CASES are about it.
PLACES: Mapping[str, str] = {
    "artifacts": "artifact",
    "datasets": "dataset",
    "runs": "run",
    "studies": "study",
    "variants": "variant",
    "cache": "result",
    "models": "model",
    "versions": "version",
    "aliases": "alias",
    "alias_history": "alias",
    "alias_revoked": "alias",
    "audit": "audit",
    "seals": "audit",
    "blobs/": "file",
    "runs/": "checkpoint",
    "keys/": "key",
}
_SCORE = 'replace(measured, \'"score": 0\', \'"score": 0.99999, "was": 0\')'
_METRIC = 'replace(metrics, \'"val_accuracy": 0\', \'"val_accuracy": 0.99999, "was": 0\')'
_LABELS = 'replace(meta, \'"labels": ["0", "1"\', \'"labels": ["1", "0"\')'
_CHANGED = "was changed behind"
_BLOB = r"stored file \w+\.\w+ was changed"

CASES = [
    Case(
        "artifact",
        "labels renamed",
        _statement(f"UPDATE artifacts SET meta = {_LABELS} WHERE kind = 'dataset'"),
        _load,
        f"artifact .* {_CHANGED}",
    ),
    Case("dataset", "another one under its fingerprint", _own_dataset, _load, _CHANGED),
    Case("dataset", "renamed", _statement("UPDATE datasets SET name = 'mnist'"), None, _CHANGED),
    Case("file", "labels shifted", _shift_labels, _train, _BLOB),
    Case(
        "file",
        "a picture",
        partial(_last_byte, kind="dataset", name="train.inputs.npy"),
        _train,
        _BLOB,
    ),
    Case(
        "file",
        "weights",
        partial(_last_byte, kind="network", name="weights.safetensors"),
        _network,
        _BLOB,
    ),
    Case(
        "file",
        "an ONNX file",
        partial(_last_byte, kind="onnx", name="model.onnx"),
        _register_variant,
        _BLOB,
    ),
    Case(
        "file",
        "removed",
        lambda f: _file(f, "onnx", "model.onnx").unlink(),
        _register_variant,
        r"stored file \w+\.onnx is missing",
    ),
    Case(
        "run",
        "a better score",
        _statement(f"UPDATE runs SET metrics = {_METRIC}"),
        _register_run,
        f"run:.* {_CHANGED}",
    ),
    Case(
        "run",
        "another model",
        _statement(
            "UPDATE runs SET outputs = json_set(outputs, '$.model', "
            "(SELECT digest FROM artifacts WHERE kind = 'onnx')) WHERE kind = 'train'"
        ),
        _register_run,
        f"run:.* {_CHANGED}",
    ),
    Case(
        "study",
        "of other data",
        _statement("UPDATE studies SET dataset = model"),
        _study,
        f"study:.* {_CHANGED}",
    ),
    Case(
        "variant",
        "a better score",
        _statement(f"UPDATE variants SET measured = {_SCORE}"),
        _register_variant,
        f"variant .* {_CHANGED}",
    ),
    Case(
        "variant",
        "made up",
        _statement(
            "INSERT INTO variants SELECT study, digest, 'half', measured, created FROM variants"
        ),
        _study,
        "bears no seal",
    ),
    Case(
        "variant",
        "removed",
        _statement("DELETE FROM variants"),
        None,
        "variant was removed",
    ),
    Case(
        "result",
        "another file as the export",
        _statement(
            "UPDATE cache SET value = json_set(value, '$.artifact', "
            "(SELECT digest FROM artifacts WHERE kind = 'structure'))"
        ),
        _register_run,
        f"remembered result .* {_CHANGED}",
    ),
    Case(
        "alias",
        "moved",
        _statement("UPDATE aliases SET number = 2 WHERE alias = 'champion'"),
        _serve,
        "'champion' of 'digits' was moved .* points at version 2.* says version 3",
    ),
    Case(
        "alias",
        "moved under an endpoint",
        _statement("UPDATE aliases SET number = 2 WHERE alias = 'champion'"),
        _follow,
        "was moved",
    ),
    Case(
        "alias",
        "made up",
        _statement("INSERT INTO aliases VALUES ('digits', 'new', 2)"),
        _verb(lambda s, f: find_source("model:digits@new", s.store)),
        "points at version 2, .* says nothing",
    ),
    Case(
        "alias",
        "taken away",
        _statement("DELETE FROM aliases WHERE alias = 'champion'"),
        _serve,
        "points at nothing",
    ),
    Case(
        "alias",
        "a revoked version is welcome again",
        _statement("DELETE FROM alias_revoked"),
        _roll_back,
        "history of 'champion'",
    ),
    Case(
        "alias",
        "another version to go back to",
        _statement("UPDATE alias_history SET number = 2 WHERE id = 1"),
        _roll_back,
        "history of 'champion'",
    ),
    Case("alias", "moved back with the end of the log cut", _cut_and_moved, _serve, "was cut"),
    Case("version", "a better score", _manifest, _verify(1), "signature of model:digits@1"),
    Case("version", "a deleted one put back", _put_back, _verify(4), "@4 was deleted on .*put"),
    Case(
        "version",
        "removed",
        _statement("DELETE FROM versions WHERE number = 2"),
        None,
        "@2 was registered .* is gone",
    ),
    Case(
        "audit",
        "an entry changed",
        _statement("UPDATE audit SET actor = 'bob' WHERE id = 2"),
        _audit,
        "broken at entry 2",
    ),
    Case(
        "audit",
        "an entry removed",
        _statement("DELETE FROM audit WHERE id = 2"),
        _audit,
        "broken at entry 3",
    ),
    Case(
        "audit",
        "the end cut",
        _statement("DELETE FROM audit WHERE id > 3"),
        _audit,
        r"was cut: \d+ entries were written, 3 are left",
    ),
    Case("audit", "emptied", _statement("DELETE FROM audit"), _audit, "were written, 0 are left"),
    Case(
        "audit",
        "emptied with its head",
        _statement("DELETE FROM audit", "DELETE FROM seals WHERE kind = 'audit'"),
        _audit,
        "lost its head",
    ),
    Case("audit", "no seals", _statement("DELETE FROM seals"), _serve, "lost its head"),
    Case(
        "schema",
        "a trigger that forges scores",
        _schema(
            "CREATE TRIGGER forge AFTER INSERT ON variants BEGIN UPDATE variants SET measured = "
            "'{\"score\": 0.99999}' WHERE rowid = NEW.rowid; END"
        ),
        _measure,
        "trigger 'forge' was put into",
    ),
    Case(
        "schema",
        "a trigger taken out",
        _schema("DROP TRIGGER audit_never_forgets"),
        _write,
        "trigger 'audit_never_forgets' was taken out",
    ),
    Case(
        "schema",
        "an index taken out",
        _schema("DROP INDEX audit_by_subject"),
        _write,
        "index 'audit_by_subject' was taken out",
    ),
    Case(
        "schema",
        "a table taken out",
        _schema("DROP TABLE cache"),
        _verb(lambda s, f: s.store.cache.get("k")),
        "table 'cache' was taken out",
    ),
    Case(
        "schema",
        "a view in the place of a table",
        _schema("ALTER TABLE cache RENAME TO kept", "CREATE VIEW cache AS SELECT * FROM kept"),
        _write,
        "table 'cache' was taken out",
    ),
    Case(
        "schema",
        "an earlier version",
        _schema("PRAGMA user_version = 0"),
        _write,
        "says that its tables are of version 0; they are of 2",
    ),
    *(
        Case(
            kind,
            "removed with its seal",
            _statement(
                f"DELETE FROM {table} WHERE {where}", f"DELETE FROM seals WHERE kind = '{kind}'"
            ),
            None if kind == "result" else _verb(lambda s, f: s.gc()),
            f"The {kind} records are not those .* gone, with their seals",
        )
        for kind, table, where in (
            ("artifact", "artifacts", "1"),
            ("dataset", "datasets", "1"),
            ("run", "runs", "1"),
            ("study", "studies", "1"),
            ("variant", "variants", "1"),
            ("result", "cache", "1"),
        )
    ),
    Case(
        "run",
        "other roots",
        _statement("UPDATE runs SET outputs = '{}'"),
        _verb(lambda s, f: s.gc()),
        f"run:.* {_CHANGED}",
    ),
    Case(
        "version",
        "removed before gc",
        _statement("DELETE FROM versions WHERE number = 2"),
        _verb(lambda s, f: s.gc()),
        "@2 was registered .* is gone",
    ),
    Case(
        "model",
        "hidden",
        _statement("DELETE FROM models"),
        None,
        "Model 'digits' had 4 versions and is gone from the list",
    ),
    Case(
        "model",
        "a higher counter",
        _statement("UPDATE models SET last_number = 4000000"),
        None,
        "says that its last version was 4000000; it was 4",
    ),
    Case(
        "checkpoint",
        "removed",
        lambda f: f.checkpoint.unlink(),
        _resume,
        "checkpoint of run:.* was removed behind",
    ),
    Case(
        "checkpoint",
        "another run's",
        _of_another_run,
        _resume,
        f"checkpoint of run:.* {_CHANGED}",
    ),
    Case("checkpoint", "other tensors", _checkpoint, _resume, f"checkpoint of run:.* {_CHANGED}"),
    Case(
        "key",
        "removed",
        lambda f: (f.root / "keys" / "signing.pem").unlink(),
        _verb(lambda s, f: s.promote("digits", 1)),
        "key .* is missing",
    ),
    Case("key", "another one", _new_key, _serve, "keys/ and workbench.db do not belong together"),
    Case(
        "key",
        "no key in it",
        lambda f: (f.root / "keys" / "signing.pem").write_text(""),
        _serve,
        "signing.pem cannot be read",
    ),
]
QUICK = {
    "schema: a trigger that forges scores",
    "schema: an earlier version",
    "dataset: another one under its fingerprint",
    "file: labels shifted",
    "variant: a better score",
    "alias: moved",
    "version: a deleted one put back",
    "audit: emptied",
    "checkpoint: other tensors",
    "key: removed",
}  # fmt: skip
