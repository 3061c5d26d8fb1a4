"""Every verb where the disk is full, read-only, broken or somebody else's: told in words."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest

import workbench as wb
from tests.unit.disks import FULL, READ_ONLY, run_on
from tests.unit.flow import every_verb
from workbench.core.errors import StorageError
from workbench.core.host import is_root

SCRIPT = str(Path(every_verb.__file__))
WRITE = {"load", "train", "import_model", "study", "register", "promote", "rollback", "delete"}
NOBODY = 65534


@dataclass
class Kept:
    """A workspace with three versions, the second of which is the champion."""

    root: Path
    refs: list[str]
    env: dict[str, str]


@pytest.fixture(scope="module")
def _kept(_trained, tmp_path_factory):
    here = tmp_path_factory.mktemp("kept")
    shutil.copytree(_trained[0], here / ".workbench")
    space = wb.Workspace(here / ".workbench", inline=True)
    study = space.study(_trained[2], _trained[1])
    for model in (_trained[2], study.measure("prune:0.3"), study.measure("prune:0.6")):
        space.register(model, "digits")
    for number in (1, 2):
        space.promote("digits", number)
    (here / "new.csv").write_text(every_verb.NEW)
    shutil.copy(space.export(_trained[2]).path, here / "own.onnx")
    space.store.db.close()
    return here


@pytest.fixture
def kept(_kept, _trained, tmp_path):
    shutil.copytree(_kept / ".workbench", tmp_path / ".workbench")
    env = {"NEW_TABLE": str(_kept / "new.csv"), "MODEL_FILE": str(_kept / "own.onnx")}
    return Kept(tmp_path / ".workbench", [*_trained[1:]], env)


def outcomes(done: subprocess.CompletedProcess[str]) -> dict[str, tuple[str, str]]:
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    return {name: (how, words) for name, how, words in map(json.loads, done.stdout.splitlines())}


def tried(kept, tmp_path, mounting):
    command = [sys.executable, SCRIPT, "{disk}/.workbench", *kept.refs]
    return outcomes(run_on(mounting, tmp_path, command, **kept.env))


@pytest.mark.parametrize(("mounting", "words"), [(FULL, "is full"), (READ_ONLY, "only be read")])
def test_reading_works_on_and_what_cannot_be_written_is_said(kept, tmp_path, mounting, words):
    found = tried(kept, tmp_path, mounting)
    assert not [item for item in found.items() if item[1][0] == "RAW"]
    written = {name for name, (how, _) in found.items() if how == "storage"}
    assert written >= WRITE
    assert written <= WRITE | {"compress", "evaluate", "export", "gc"}, "all else works"
    assert all(words in found[name][1] for name in written), found
    assert found["serve"][0] == found["verify"][0] == "ok"
    assert found["gc"][0] == ("ok" if mounting is FULL else "storage"), "gc makes room, if it can"


def broken(path: Path, how: str) -> None:
    path.unlink()
    if how == "folder":
        path.mkdir()
    elif how == "garbage":
        path.write_bytes(os.urandom(50_000))
    elif how == "empty":
        path.touch()


@pytest.mark.parametrize("how", ["garbage", "folder", "empty", "missing"])
def test_a_broken_database_is_no_empty_workspace(ready, how):
    root = ready.space.store.home.root
    ready.space.store.db.close()
    broken(root / "workbench.db", how)
    with pytest.raises(StorageError, match=str(root / "workbench.db")) as caught:
        wb.Workspace(root)
    assert caught.value.context["reason"] == "damaged"
    assert "backup" in caught.value.hint


@pytest.mark.full
@pytest.mark.parametrize("how", ["garbage", "folder", "empty", "missing", "cut", "half", "zeros"])
def test_every_verb_tells_of_a_broken_database(kept, tmp_path, how):
    path = kept.root / "workbench.db"
    if how in ("cut", "half", "zeros"):
        size = path.stat().st_size
        with path.open("r+b") as file:
            file.truncate({"cut": 50, "half": size // 2, "zeros": 4096}[how])
            file.truncate(size if how == "zeros" else file.seek(0, os.SEEK_END))
    else:
        broken(path, how)
    command = [sys.executable, SCRIPT, str(kept.root), *kept.refs]
    done = subprocess.run(
        command, env={**os.environ, **kept.env}, capture_output=True, text=True, check=False
    )
    found = outcomes(done)
    ended = {how for how, _ in found.values()}
    assert ended <= {"storage", "ok", "not_found"}, found
    assert found["verify"][0] == found["gc"][0] == found["register"][0] == "storage"


def as_nobody(kept, root, warm, *only):
    command = [sys.executable, SCRIPT, str(root), *kept.refs, *only]
    env = {**os.environ, **kept.env, "BECOME": str(NOBODY), "WARM": str(warm)}
    return outcomes(subprocess.run(command, env=env, capture_output=True, text=True, check=False))


@pytest.mark.full
@pytest.mark.skipif(not is_root(), reason="becoming another user needs root")
@pytest.mark.parametrize("is_open", [False, True], ids=["closed", "readable"])
def test_the_workspace_of_another_user(kept, is_open):
    only = [name for name in every_verb.verbs(kept.root, *kept.refs) if name != "serve"]
    with tempfile.TemporaryDirectory() as folder:
        foreign = Path(folder) / ".workbench"
        shutil.copytree(kept.root, foreign)
        for name, path in kept.env.items():
            kept.env[name] = shutil.copy(path, folder)
        Path(folder).chmod(0o755)
        if is_open:
            subprocess.run(["chmod", "-R", "a+rX", folder], check=True)
        found = as_nobody(kept, foreign, kept.root, *only)
    assert not [item for item in found.items() if item[1][0] == "RAW"]
    assert {name for name, (how, _) in found.items() if how == "storage"} >= WRITE
    assert "belongs to 'root'" in found["promote"][1]
    if is_open:
        assert found["runs"][0] == found["models"][0] == found["reload"][0] == "ok", found


def test_what_only_a_log_holds_yet_is_read_from_a_read_only_disk(kept, tmp_path):
    path = kept.root / "workbench.db"
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("UPDATE runs SET kind = 'late'")
    lost = tmp_path / "lost"
    shutil.copytree(tmp_path / ".workbench", lost / ".workbench")
    writer.close()
    (lost / ".workbench" / "workbench.db-shm").unlink()
    code = "import sys, workbench as wb; print([run.record.kind for run in wb.runs()])"
    done = run_on(READ_ONLY, lost, [sys.executable, "-c", code])
    assert done.stdout == "['late']\n", done.stderr


@pytest.mark.parametrize("command", [["gc"], ["doctor"], ["promote", "digits", "1"]])
def test_commands_tell_of_a_broken_database_as_json(kept, command):
    broken(kept.root / "workbench.db", "garbage")
    words = [sys.executable, "-m", "workbench.flow.cli.main", *command, "--json"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if command == ["doctor"]:
        rows = {row["what"]: row for row in json.loads(done.stdout)}
        assert "is damaged" in rows["workspace"]["found"]
        assert "backup" in rows["workspace"]["advice"]
    else:
        error = json.loads(done.stderr)["error"]
        assert error["code"] == "storage"
        assert "is damaged" in error["message"]
        assert done.returncode == 1


def test_a_file_outside_that_may_not_be_opened_is_the_callers_matter(ready, monkeypatch):
    def closed(self):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "is_file", closed)
    with pytest.raises(wb.InputError, match=r"own\.onnx' cannot be opened: Permission denied"):
        ready.space.import_model("own.onnx")
