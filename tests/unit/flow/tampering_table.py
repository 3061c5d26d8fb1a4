"""The table of every stored kind × every tampering: how, which verb meets it, and the words."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from tests.unit.flow.tampering import (
    Filled,
    audit,
    checkpoint,
    cut_and_moved,
    endpoint,
    file,
    follow,
    further_token,
    last_byte,
    load,
    manifest,
    measure,
    network,
    new_key,
    no_json,
    of_another_run,
    own_dataset,
    put_back,
    register_run,
    register_variant,
    resume,
    roll_back,
    schema,
    serve,
    shift_labels,
    state,
    state_of_another,
    statement,
    study,
    train,
    verb,
    verify,
    write,
)
from workbench.serving.sources import find_source


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
    "endpoints/": "state",
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
        statement(f"UPDATE artifacts SET meta = {_LABELS} WHERE kind = 'dataset'"),
        load,
        f"artifact .* {_CHANGED}",
    ),
    Case("dataset", "another one under its fingerprint", own_dataset, load, _CHANGED),
    Case("dataset", "renamed", statement("UPDATE datasets SET name = 'mnist'"), None, _CHANGED),
    Case("file", "labels shifted", shift_labels, train, _BLOB),
    Case(
        "file",
        "a picture",
        partial(last_byte, kind="dataset", name="train.inputs.npy"),
        train,
        _BLOB,
    ),
    Case(
        "file",
        "weights",
        partial(last_byte, kind="network", name="weights.safetensors"),
        network,
        _BLOB,
    ),
    Case(
        "file",
        "an ONNX file",
        partial(last_byte, kind="onnx", name="model.onnx"),
        register_variant,
        _BLOB,
    ),
    Case(
        "file",
        "removed",
        lambda f: file(f, "onnx", "model.onnx").unlink(),
        register_variant,
        r"stored file \w+\.onnx is missing",
    ),
    Case(
        "run",
        "a better score",
        statement(f"UPDATE runs SET metrics = {_METRIC}"),
        register_run,
        f"run:.* {_CHANGED}",
    ),
    Case(
        "run",
        "another model",
        statement(
            "UPDATE runs SET outputs = json_set(outputs, '$.model', "
            "(SELECT digest FROM artifacts WHERE kind = 'onnx')) WHERE kind = 'train'"
        ),
        register_run,
        f"run:.* {_CHANGED}",
    ),
    Case(
        "study",
        "of other data",
        statement("UPDATE studies SET dataset = model"),
        study,
        f"study:.* {_CHANGED}",
    ),
    Case(
        "variant",
        "a better score",
        statement(f"UPDATE variants SET measured = {_SCORE}"),
        register_variant,
        f"variant .* {_CHANGED}",
    ),
    Case(
        "variant",
        "made up",
        statement(
            "INSERT INTO variants SELECT study, digest, 'half', measured, created FROM variants"
        ),
        study,
        "bears no seal",
    ),
    Case(
        "variant",
        "removed",
        statement("DELETE FROM variants"),
        None,
        "variant was removed",
    ),
    Case(
        "result",
        "another file as the export",
        statement(
            "UPDATE cache SET value = json_set(value, '$.artifact', "
            "(SELECT digest FROM artifacts WHERE kind = 'structure'))"
        ),
        register_run,
        f"remembered result .* {_CHANGED}",
    ),
    Case(
        "alias",
        "moved",
        statement("UPDATE aliases SET number = 2 WHERE alias = 'champion'"),
        serve,
        "'champion' of 'digits' was moved .* points at version 2.* says version 3",
    ),
    Case(
        "alias",
        "moved under an endpoint",
        statement("UPDATE aliases SET number = 2 WHERE alias = 'champion'"),
        follow,
        "was moved",
    ),
    Case(
        "alias",
        "made up",
        statement("INSERT INTO aliases VALUES ('digits', 'new', 2)"),
        verb(lambda s, f: find_source("model:digits@new", s.store)),
        "points at version 2, .* says nothing",
    ),
    Case(
        "alias",
        "taken away",
        statement("DELETE FROM aliases WHERE alias = 'champion'"),
        serve,
        "points at nothing",
    ),
    Case(
        "alias",
        "a revoked version is welcome again",
        statement("DELETE FROM alias_revoked"),
        roll_back,
        "history of 'champion'",
    ),
    Case(
        "alias",
        "another version to go back to",
        statement("UPDATE alias_history SET number = 2 WHERE id = 1"),
        roll_back,
        "history of 'champion'",
    ),
    Case("alias", "moved back with the end of the log cut", cut_and_moved, serve, "was cut"),
    Case("version", "a better score", manifest, verify(1), "signature of model:digits@1"),
    Case("version", "a deleted one put back", put_back, verify(4), "@4 was deleted on .*put"),
    Case(
        "version",
        "removed",
        statement("DELETE FROM versions WHERE number = 2"),
        None,
        "@2 was registered .* is gone",
    ),
    Case(
        "audit",
        "an entry changed",
        statement("UPDATE audit SET actor = 'bob' WHERE id = 2"),
        audit,
        "broken at entry 2",
    ),
    Case(
        "audit",
        "an entry removed",
        statement("DELETE FROM audit WHERE id = 2"),
        audit,
        "broken at entry 3",
    ),
    Case(
        "audit",
        "the end cut",
        statement("DELETE FROM audit WHERE id > 3"),
        audit,
        r"was cut: \d+ entries were written, 3 are left",
    ),
    Case("audit", "emptied", statement("DELETE FROM audit"), audit, "were written, 0 are left"),
    Case(
        "audit",
        "emptied with its head",
        statement("DELETE FROM audit", "DELETE FROM seals WHERE kind = 'audit'"),
        audit,
        "lost its head",
    ),
    Case("audit", "no seals", statement("DELETE FROM seals"), serve, "lost its head"),
    Case(
        "schema",
        "a trigger that forges scores",
        schema(
            "CREATE TRIGGER forge AFTER INSERT ON variants BEGIN UPDATE variants SET measured = "
            "'{\"score\": 0.99999}' WHERE rowid = NEW.rowid; END"
        ),
        measure,
        "trigger 'forge' was put into",
    ),
    Case(
        "schema",
        "a trigger taken out",
        schema("DROP TRIGGER audit_never_forgets"),
        write,
        "trigger 'audit_never_forgets' was taken out",
    ),
    Case(
        "schema",
        "an index taken out",
        schema("DROP INDEX audit_by_subject"),
        write,
        "index 'audit_by_subject' was taken out",
    ),
    Case(
        "schema",
        "a table taken out",
        schema("DROP TABLE cache"),
        verb(lambda s, f: s.store.cache.get("k")),
        "table 'cache' was taken out",
    ),
    Case(
        "schema",
        "a view in the place of a table",
        schema("ALTER TABLE cache RENAME TO kept", "CREATE VIEW cache AS SELECT * FROM kept"),
        write,
        "table 'cache' was taken out",
    ),
    Case(
        "schema",
        "an earlier version",
        schema("PRAGMA user_version = 0"),
        write,
        "says that its tables are of version 0; they are of 2",
    ),
    *(
        Case(
            kind,
            "removed with its seal",
            statement(
                f"DELETE FROM {table} WHERE {where}", f"DELETE FROM seals WHERE kind = '{kind}'"
            ),
            None if kind == "result" else verb(lambda s, f: s.gc()),
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
        statement("UPDATE runs SET outputs = '{}'"),
        verb(lambda s, f: s.gc()),
        f"run:.* {_CHANGED}",
    ),
    Case(
        "version",
        "removed before gc",
        statement("DELETE FROM versions WHERE number = 2"),
        verb(lambda s, f: s.gc()),
        "@2 was registered .* is gone",
    ),
    Case(
        "model",
        "hidden",
        statement("DELETE FROM models"),
        None,
        "Model 'digits' had 4 versions and is gone from the list",
    ),
    Case(
        "model",
        "a higher counter",
        statement("UPDATE models SET last_number = 4000000"),
        None,
        "says that its last version was 4000000; it was 4",
    ),
    Case(
        "checkpoint",
        "removed",
        lambda f: f.checkpoint.unlink(),
        resume,
        "checkpoint of run:.* was removed behind",
    ),
    Case(
        "checkpoint",
        "another run's",
        of_another_run,
        resume,
        f"checkpoint of run:.* {_CHANGED}",
    ),
    Case("checkpoint", "other tensors", checkpoint, resume, f"checkpoint of run:.* {_CHANGED}"),
    Case("state", "a further token", further_token, endpoint, f"endpoint:live {_CHANGED}"),
    Case("state", "a revoked token", state(revoked=[]), endpoint, f"endpoint:live {_CHANGED}"),
    Case(
        "state",
        "another model",
        state(models={"model:digits@2": {"name": "digits", "number": "2", "is_wanted": True}}),
        endpoint,
        f"endpoint:live {_CHANGED}",
    ),
    Case("state", "another endpoint's", state_of_another, endpoint, f"endpoint:live {_CHANGED}"),
    Case("state", "without a seal", state(seal=None), endpoint, "endpoint:live bears no seal"),
    Case("state", "no JSON", no_json, endpoint, "endpoint:live cannot be read"),
    Case(
        "key",
        "removed",
        lambda f: (f.root / "keys" / "signing.pem").unlink(),
        verb(lambda s, f: s.promote("digits", 1)),
        "key .* is missing",
    ),
    Case("key", "another one", new_key, serve, "keys/ and workbench.db do not belong together"),
    Case(
        "key",
        "no key in it",
        lambda f: (f.root / "keys" / "signing.pem").write_text(""),
        serve,
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
    "state: a further token",
    "key: removed",
}  # fmt: skip
