"""A training whose disk fills ends as failed, with the reason; gc makes room on a full disk."""

from __future__ import annotations

import json
import sys

import pytest

from tests.unit.disks import FILL, run_on
from workbench.core.errors import StorageError
from workbench.store import open_store
from workbench.store.database import Database
from workbench.store.reserve import Reserve

SMALL = 'mount -t tmpfs -o size=8m tmpfs "$DISK"; cp -a "$HERE/.workbench" "$DISK/"'
TRAINING = f"""
import json, os, subprocess, sys, threading
import workbench as wb
disk, data, is_left = sys.argv[1:]
run = wb.train(data, "mlp", epochs=5000, threads=1, hidden=[32], early_stopping=None)
pause = threading.Event()
while len(run.history()) < 1:
    pause.wait(0.01)
store = wb.Workspace().store
if not int(is_left):
    (store.home.root / "reserve").unlink()
subprocess.run([sys.executable, "-c", {FILL!r}, disk + "/fill"], check=True)
while not run.record.is_finished:
    pause.wait(0.01)
record = wb.Workspace().run(run.ref).record
print(json.dumps([record.status, record.error]))
"""


@pytest.mark.parametrize(
    "is_left",
    [
        pytest.param(1, id="with space kept aside", marks=pytest.mark.full),
        pytest.param(0, id="without any"),
    ],
)
def test_a_training_whose_disk_fills_has_failed_and_says_why(ready, tmp_path, is_left):
    ready.space.store.db.close()
    command = [sys.executable, "-c", TRAINING, "{disk}", ready.data.ref, str(is_left)]
    done = run_on(SMALL, tmp_path, command)
    status, error = json.loads(done.stdout.splitlines()[-1])
    assert status == "failed", done.stderr
    assert error["code"] == "storage"
    assert "the disk is full" in error["message"]
    assert "workbench gc" in error["hint"]


COLLECTING = f"""
import json, os, subprocess, sys
import workbench as wb
disk = sys.argv[1]
space = wb.Workspace(inline=True)
store = space.store
useless = store.artifacts.save("scrap", {{"a.bin": os.urandom(1_000_000)}}, {{}})
for path in store.blobs.all():
    os.utime(path, (1, 1))
store.db.close()
subprocess.run([sys.executable, "-c", {FILL!r}, disk + "/fill"], check=True)
asked = [sys.executable, "-m", "workbench.flow.cli.main", "gc", "--json"]
done = subprocess.run(asked, capture_output=True, text=True)
print(done.stdout, done.stderr)
print(json.dumps([json.loads(done.stdout), os.path.exists(store.home.root / "reserve")]))
"""


def test_gc_makes_room_on_a_full_disk(ready, tmp_path):
    ready.space.store.db.close()
    done = run_on(SMALL, tmp_path, [sys.executable, "-c", COLLECTING, "{disk}"])
    freed, _ = json.loads(done.stdout.splitlines()[-1])
    assert freed["artifacts"] >= 1, done.stdout
    assert freed["bytes"] >= 1_000_000


def test_how_a_run_ended_is_known_also_when_it_could_not_be_stored(store, monkeypatch):
    run = store.runs.create("train", {}, {})
    store.runs.start(run.id)
    failing = iter([True, True, False])

    def execute(self, sql, *values):
        if next(failing):
            raise StorageError("The disk is full.")
        return original(self, sql, *values)

    original = Database.execute
    monkeypatch.setattr(Database, "execute", execute)
    store.runs.finish(run.id, "failed", StorageError("'x' is full", hint="y" * 9000))
    assert not Reserve(store.home.root).release(), "it was tried again with this space"
    found = open_store(store.home.root).runs.get(run.id)
    assert found.status == "failed"
    assert found.error["code"] == "storage"
    assert found.error["message"] == "'x' is full"
    store.runs.restart(run.id)
    assert store.runs.get(run.id).status == "created"
