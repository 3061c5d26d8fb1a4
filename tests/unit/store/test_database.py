import os
import signal
import subprocess
import sys

import pytest

from workbench.core.errors import StateError
from workbench.store import database, open_store
from workbench.store.database import Database, NetworkFileSystemWarning, file_system

WRITER = """
import sys
from pathlib import Path
from workbench.store import open_store
store = open_store(Path(sys.argv[1]))
number = 0
while True:
    number += 1
    store.cache.put(str(number), {"n": number})
    print(number, flush=True)
"""


def test_what_was_said_to_be_written_survives_kill_9(store):
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(store.home.root)], stdout=subprocess.PIPE, text=True
    )
    with writer:
        said = [int(writer.stdout.readline()) for _ in range(20)]
        os.kill(writer.pid, signal.SIGKILL)
    again = open_store(store.home.root)
    assert all(again.cache.get(str(number)) == {"n": number} for number in said)
    assert again.db.one("PRAGMA integrity_check")[0] == "ok"


def test_a_failed_transaction_leaves_no_trace(store):
    with pytest.raises(RuntimeError), store.db.transaction() as connection:
        connection.execute("INSERT INTO cache VALUES ('k', '{}', 'now')")
        raise RuntimeError
    assert store.cache.get("k") is None


def test_a_network_file_system_gets_a_rollback_journal(tmp_path, monkeypatch):
    mounts = tmp_path / "mounts"
    mounts.write_text(f"/dev/sda / ext4 rw 0 0\nhub:/home {tmp_path} nfs4 rw 0 0\n")
    monkeypatch.setattr(database, "_MOUNTS", mounts)
    assert file_system(tmp_path / "x") == "nfs4"
    with pytest.warns(NetworkFileSystemWarning, match="nfs4"):
        db = Database(tmp_path / "w.db")
    assert db.one("PRAGMA journal_mode")[0] == "delete"


def test_a_newer_workspace_is_not_touched(store):
    store.db.execute("PRAGMA user_version=99")
    with pytest.raises(StateError, match="newer workbench"):
        Database(store.home.database)
