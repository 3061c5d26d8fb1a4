"""Ways to change what is stored as somebody with a shell would, and the verbs that meet it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from workbench.core.ids import canonical_json, digest_bytes, digest_json
from workbench.engine.callbacks import FitState
from workbench.families.network import load_network
from workbench.flow.workspace import Workspace
from workbench.serving.sources import StoreRegistry, find_source
from workbench.serving.state import StateFile
from workbench.serving.tokens import hash_token, new_token
from workbench.store.checkpoints import FILE
from workbench.training.checkpoint import Checkpoint, resumable_state, save_checkpoint

WORK = "w" * 64
ENDPOINT, OTHER = "live", "other"
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
    for id_ in (ENDPOINT, OTHER):
        tokens = (hash_token(new_token(), "ci"),)
        state_file(space, id_).update(
            lambda found, tokens=tokens: found.model_copy(
                update={"tokens": tokens, "revoked": ("0" * 64,)}
            )
        )
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


def file(filled: Filled, kind: str, name: str) -> Path:
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


def last_byte(filled: Filled, kind: str, name: str) -> None:
    _rewrite(file(filled, kind, name), lambda data: data[:-1] + bytes([data[-1] ^ 1]))


def shift_labels(filled: Filled) -> None:
    path = file(filled, "dataset", "train.targets.npy")
    path.chmod(0o600)
    np.save(path, (np.load(path) + 1) % 10)


def own_dataset(filled: Filled) -> None:
    """A consistent artifact with shifted labels, listed under the original fingerprint."""
    store = filled.space.store
    row = store.db.one("SELECT * FROM artifacts WHERE kind = 'dataset'")
    files, meta = json.loads(row["files"]), json.loads(row["meta"])
    content = file(filled, "dataset", "val.targets.npy").read_bytes()
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


def new_key(filled: Filled) -> None:
    key = filled.root / "keys" / "signing.pem"
    key.unlink()
    other = Workspace(filled.root.parent / "other", inline=True)
    key.write_bytes((other.store.home.keys / "signing.pem").read_bytes())


def put_back(filled: Filled) -> None:
    places = ", ".join("?" * len(filled.deleted))
    sql(filled, f"INSERT INTO versions VALUES ({places})", values=filled.deleted)


def manifest(filled: Filled) -> None:
    """Metrics changed, the digest made to fit."""
    row = filled.space.store.db.one("SELECT manifest FROM versions WHERE number = 1")
    manifest = json.loads(row["manifest"])
    manifest["metrics"]["val_accuracy"] = 0.99999
    text = canonical_json(manifest)
    change = "UPDATE versions SET manifest = ?, digest = ? WHERE number = 1"
    sql(filled, change, values=(text.decode(), digest_bytes(text)))


def checkpoint(filled: Filled) -> None:
    save_checkpoint(filled.checkpoint, Checkpoint(WORK, _state(0.75)))


def of_another_run(filled: Filled) -> None:
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


def cut_and_moved(filled: Filled) -> None:
    sql(
        filled,
        "DELETE FROM audit WHERE id = (SELECT max(id) FROM audit)",
        "DELETE FROM aliases WHERE alias = 'old'",
        "DELETE FROM alias_history WHERE alias = 'old'",
    )


def state_file(space: Workspace, id_: str) -> StateFile:
    folder = space.store.home.endpoints / id_
    folder.mkdir(parents=True, exist_ok=True)
    return StateFile(folder, space.store.seals)


def _state_path(filled: Filled, id_: str = ENDPOINT) -> Path:
    return filled.root / "endpoints" / id_ / "state.json"


def further_token(filled: Filled) -> None:
    path = _state_path(filled)
    values = json.loads(path.read_text())
    values["tokens"].append({**values["tokens"][0], "name": "mine", "digest": "f" * 64})
    path.write_text(json.dumps(values))


def state(**changes: Any) -> Callable[[Filled], None]:
    def change(filled: Filled) -> None:
        path = _state_path(filled)
        path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))

    return change


def state_of_another(filled: Filled) -> None:
    _state_path(filled).write_text(_state_path(filled, OTHER).read_text())


def no_json(filled: Filled) -> None:
    _state_path(filled).write_text("{")


def statement(*statements: str) -> Callable[[Filled], None]:
    return lambda filled: sql(filled, *statements)


def schema(*statements: str) -> Callable[[Filled], None]:
    def change(filled: Filled) -> None:
        with closing(sqlite3.connect(filled.root / "workbench.db")) as outside, outside:
            for statement in statements:
                outside.execute(statement)

    return change


def verb(call: Callable[[Workspace, Filled], Any]) -> Callable[[Filled], Any]:
    return lambda filled: call(filled.space, filled)


train = verb(lambda s, f: s.train(f.data, "mlp", epochs=1, threads=1, hidden=[4]))
load = verb(lambda s, f: s.load(f.data))
register_run = verb(lambda s, f: s.register(f.run, "again"))
register_variant = verb(lambda s, f: s.register(f.variant, "again"))
study = verb(lambda s, f: s.study(f.study).variants)
endpoint = verb(lambda s, f: state_file(s, ENDPOINT).read())
audit = verb(lambda s, f: s.store.audit.verify())
serve = verb(lambda s, f: find_source("model:digits@champion", s.store))
follow = verb(lambda s, f: StoreRegistry(s.store).number("digits", "champion"))
roll_back = verb(lambda s, f: s.rollback("digits"))
resume = verb(lambda s, f: resumable_state(f.checkpoint, WORK, s.store.checkpoints))
network = verb(
    lambda s, f: load_network(s.store, s.store.artifacts.get(s.run(f.run).record.outputs["model"]))
)


measure = verb(lambda s, f: s.store.studies.add_variant(f.study[6:], WORK, "half", {"score": 0.5}))
write = verb(lambda s, f: s.store.cache.put("k", {}))


def verify(number: int) -> Callable[[Filled], Any]:
    return verb(lambda s, f: s.verify(f"model:digits@{number}"))
