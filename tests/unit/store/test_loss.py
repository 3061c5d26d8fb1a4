"""What a disk has lost for good can be accepted: it is named, noted, and gc goes on."""

import os
import re
import sqlite3
import time
from contextlib import closing

import pytest

from workbench.core.errors import InputError, IntegrityError
from workbench.store.findings import tampered
from workbench.store.gc import collect


def lose(store, *statements):
    """Loses rows as a disk does."""
    with closing(sqlite3.connect(store.home.database)) as outside, outside:
        trigger = "versions_never_change"
        find = "SELECT sql FROM sqlite_schema WHERE name = ?"
        kept = outside.execute(find, (trigger,)).fetchone()[0]
        outside.execute(f"DROP TRIGGER {trigger}")
        for statement in statements:
            assert outside.execute(statement).rowcount > 0
        outside.execute(kept)


@pytest.fixture
def filled(store):
    for number in (1, 2):
        blob = store.blobs.put_bytes(b"model %d" % number, ".onnx")
        store.models.register("digits", {"files": {"model.onnx": blob.to_json()}})
    artifact = store.artifacts.save("onnx", {"model.onnx": b"of a run"}, {})
    run = store.runs.create("train", {}, {})
    store.runs.add_output(run.id, "model", artifact.digest)
    before = time.time() - 7200
    for path in store.blobs.all():
        os.utime(path, (before, before))
    return store


def losses(store):
    return [e for e in store.audit.entries() if e.action == "lose"]


@pytest.mark.parametrize(
    ("statement", "named", "left"),
    [
        ("DELETE FROM runs", "A run was removed", 2),
        ("UPDATE runs SET outputs = 'x'", "run:.* cannot be read|run:.* changed", 2),
        ("DELETE FROM seals WHERE kind = 'run'", "bears no seal", 2),
        ("UPDATE artifacts SET files = 'x'", "artifact .* changed", 2),
        ("DELETE FROM versions WHERE number = 2", "@2 was registered .* is gone", 2),
        ("UPDATE versions SET manifest = 'x' WHERE number = 2", "model:digits@2 cannot be read", 2),
    ],
)
def test_a_loss_that_is_accepted_is_noted_and_gc_goes_on(filled, statement, named, left):
    lose(filled, statement)
    with pytest.raises(IntegrityError) as refused:
        collect(filled)
    assert "--accept-loss" in refused.value.hint
    freed = collect(filled, accept_loss=True)
    assert freed["lost"] >= 1
    assert freed["files"] >= 1, "what only the lost records needed goes"
    reasons = " ".join(f"{e.subject} {e.data['reason']}" for e in losses(filled))
    assert re.search(named, reasons), reasons
    assert collect(filled)["files"] == 0, "and from now on gc does as it did"
    assert len(list(filled.blobs.all())) == left


def test_a_version_that_lost_its_record_or_its_files_stays_listed_as_broken(filled):
    lose(filled, "UPDATE versions SET signature = '00' WHERE number = 2")
    filled.blobs.path(filled.models.get("digits", 1).files["model.onnx"]).unlink()
    freed = collect(filled, accept_loss=True)
    assert freed["lost"] == 1
    assert [version.number for version in filled.models.versions("digits")] == [1, 2]
    collect(filled)
    words = " ".join(item.words for item in tampered(filled))
    assert "signature of model:digits@2" in words
    assert "missing" in words
    for number in (1, 2):
        with pytest.raises(IntegrityError):
            filled.models.verify(filled.models.get("digits", number))


def test_where_nothing_is_lost_nothing_is_forgotten(filled):
    assert collect(filled, accept_loss=True)["lost"] == 0
    assert losses(filled) == []
    assert list(tampered(filled)) == []


def test_what_would_be_lost_is_asked_of_the_doctor(filled):
    with pytest.raises(InputError, match="doctor"):
        collect(filled, dry_run=True, accept_loss=True)


def test_without_its_log_nothing_can_be_noted_and_nothing_is_accepted(filled):
    lose(filled, "DELETE FROM seals WHERE kind = 'audit'", "DELETE FROM runs")
    with pytest.raises(IntegrityError, match="lost its head"):
        collect(filled, accept_loss=True)
    with closing(sqlite3.connect(filled.home.database)) as outside, outside:
        outside.execute("CREATE TRIGGER mine AFTER INSERT ON runs BEGIN SELECT 1; END")
    with pytest.raises(IntegrityError, match="trigger 'mine'"):
        collect(filled, accept_loss=True)
