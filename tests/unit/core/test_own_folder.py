"""Another user of the machine can neither hold our locks nor lead our files elsewhere."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from workbench.compression.measure import measuring_lock
from workbench.core.files import open_private, private_folder, write_private
from workbench.core.host import FileLock, is_root
from workbench.core.own_folder import own_folder
from workbench.store import open_store

pytestmark = pytest.mark.skipif(os.name != "posix", reason="owners and modes are POSIX's")
NOBODY = 65534
# Tries to open every file and folder it can think of, as another user; prints those it could.
VISITOR = """
import os, sys
os.setgid(int(sys.argv[1])); os.setuid(int(sys.argv[1]))
for path in sys.argv[2:]:
    try:
        os.close(os.open(path, os.O_RDONLY))
        print(path)
    except OSError:
        pass
"""


@pytest.fixture
def no_home(tmp_path, monkeypatch):
    """A user whose only writable place is a temporary folder that everybody shares."""
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    monkeypatch.setenv("HOME", "/proc/none")
    monkeypatch.setattr(tempfile, "tempdir", str(shared))
    return shared


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o277])
def test_whatever_the_umask_a_workspace_is_its_owners_alone(tmp_path, umask):
    before = os.umask(umask)
    try:
        store = open_store(tmp_path / "new" / ".workbench")
        store.blobs.put_bytes(b"x", ".bin")
        run = store.runs.create("train", {}, {})
        store.runs.start(run.id)
        store.runs.worked_on_by(run.id, os.getpid())
        with FileLock(store.runs.lock_path(run.id)):
            pass
        store.audit.record("a", "b")
    finally:
        os.umask(before)
    for path in store.home.root.rglob("*"):
        assert mode(path) == (0o700 if path.is_dir() else mode(path) & 0o600), path
        assert path.is_dir() or mode(path) & 0o400, path
    assert mode(store.home.root) == 0o700


def test_a_lock_made_before_or_a_link_in_its_place_is_not_used(no_home, monkeypatch):
    taken = no_home / f"workbench-{os.geteuid()}"
    taken.symlink_to(no_home)
    assert own_folder() != taken
    assert mode(own_folder()) == 0o700
    taken.unlink()
    taken.mkdir(mode=0o777)
    taken.chmod(0o777)
    assert own_folder() != taken
    taken.chmod(0o700)
    assert own_folder() == taken
    assert measuring_lock().path == taken / "measuring.lock"
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(private_folder(no_home / "runtime")))
    assert own_folder() == no_home / "runtime" / "workbench"
    (no_home / "runtime").chmod(0o755)
    assert own_folder() == taken


@pytest.mark.skipif(not is_root(), reason="giving files to another user needs root")
def test_a_folder_of_another_user_is_not_used(no_home):
    taken = private_folder(no_home / f"workbench-{os.geteuid()}")
    os.chown(taken, NOBODY, NOBODY)
    assert own_folder() != taken
    with measuring_lock() as lock:
        assert lock.path.parent != taken


def test_a_file_is_never_written_through_a_link(tmp_path):
    victim, link = tmp_path / "victim", tmp_path / "link"
    victim.write_text("whole")
    link.symlink_to(victim)
    for mode_ in ("w", "a", "r+"):
        with pytest.raises(OSError, match="symbolic links"):
            open_private(link, mode_)
    with pytest.raises(OSError, match="symbolic links"):
        FileLock(link).try_acquire()
    write_private(link, "new")
    assert (victim.read_text(), link.read_text(), link.is_symlink()) == ("whole", "new", False)


def test_a_lock_that_others_could_open_is_closed_to_them(tmp_path):
    path = tmp_path / "lock"
    path.touch(mode=0o666)
    path.chmod(0o666)
    with FileLock(path):
        assert mode(path) == 0o600


@pytest.mark.skipif(not is_root(), reason="becoming another user needs root")
def test_another_user_can_open_no_lock_and_no_file_of_a_workspace(monkeypatch):
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o1777)
        monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
        monkeypatch.setenv("HOME", folder)
        store = open_store(Path(folder) / "ws")
        run = store.runs.create("train", {}, {})
        with FileLock(store.runs.lock_path(run.id)), measuring_lock() as measuring:
            seen = [*store.home.root.rglob("*"), store.home.root, measuring.path]
        command = [sys.executable, "-c", VISITOR, str(NOBODY), *map(str, seen)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == ""
