"""What ended processes left behind goes with gc; what a living one uses stays."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from workbench.core.host import FileLock
from workbench.store.gc import collect
from workbench.store.leftovers import ALIVE
from workbench.store.scratch import scratch_name

MAKER = """
import sys
from pathlib import Path
from workbench.store.scratch import scratch_name
path = Path(sys.argv[1]) / scratch_name(".npy")
path.write_bytes(b"x" * 1000)
print(path, flush=True)
sys.stdin.read()
"""


def old(path, seconds=7200):
    moment = time.time() - seconds
    for part in (*path.rglob("*"), path):
        os.utime(part, (moment, moment))


def test_scratch_files_go_when_their_process_has_ended(store):
    command = [sys.executable, "-c", MAKER, str(store.home.scratch)]
    maker = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with maker:
        theirs = maker.stdout.readline().strip()
        ours = store.home.scratch / scratch_name()
        ours.mkdir()
        old(ours, 1e6)
        assert collect(store)["leftovers"] == 0
        maker.kill()
    would = collect(store, dry_run=True)
    assert (would["leftovers"], would["leftover_bytes"]) == (1, 1000)
    assert collect(store) == would
    assert not Path(theirs).exists()
    assert ours.exists()


def test_scratch_files_of_nobody_go_by_their_age(store):
    young, aged = (store.home.scratch / name for name in ("young", "aged"))
    for path in (young, aged):
        path.write_bytes(b"12345")
    old(aged)
    assert collect(store)["leftover_bytes"] == 5
    assert young.exists()


def test_folders_of_ended_endpoints_go_but_a_revoked_token_stays_revoked(store):
    ended, running, known, revoked = (store.home.endpoints / name for name in "abcd")
    for folder in (ended, running, known, revoked):
        folder.mkdir(parents=True)
        (folder / "log").write_text("said")
    (revoked / "state.json").write_text(json.dumps({"revision": 2, "revoked": ["hash"]}))
    (ended / "state.json").write_text(json.dumps({"revision": 1, "revoked": []}))
    with FileLock(running / ALIVE, is_shared=True), FileLock(running / ALIVE, is_shared=True):
        freed = collect(store, endpoints=["c"])
    assert not ended.exists()
    assert (running / "log").exists()
    assert (known / "log").exists()
    assert [path.name for path in revoked.iterdir()] == ["state.json"]
    assert freed["leftovers"] == 2


def test_half_written_files_and_spent_checkpoints_of_ended_runs_go(store):
    done, forged, failed, live = (store.runs.create("train", {}, {}).id for _ in range(4))
    lost = "lost"
    store.runs.directory(lost).mkdir()
    for run in (done, forged, failed, live):
        store.runs.start(run)
    store.runs.add_output(done, "model", "0" * 64)
    for run in (done, forged, failed, live, lost):
        for name in ("checkpoint.safetensors", "checkpoint.safetensors.part"):
            (store.runs.directory(run) / name).write_bytes(b"123")
    store.runs.finish(done, "succeeded")
    store.runs.finish(failed, "failed")
    store.db.execute("UPDATE runs SET status = 'succeeded' WHERE id = ?", forged)
    with FileLock(store.runs.lock_path(live)):
        assert collect(store)["leftovers"] == 4
    names = [
        {path.name for path in store.runs.directory(run).glob("check*")}
        for run in (done, failed, forged)
    ]
    kept = {"checkpoint.safetensors"}
    assert names == [set(), kept, kept], "what made nothing can be resumed, whatever is said of it"
    assert len(list(store.runs.directory(live).glob("check*"))) == 2
    assert store.runs.directory(lost).exists(), "somebody may be making it"
    old(store.runs.directory(lost))
    assert collect(store)["leftovers"] == 2, "the lost run, and the torn file of the live one"
    assert not store.runs.directory(lost).exists()
