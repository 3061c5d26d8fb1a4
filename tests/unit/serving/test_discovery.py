import os
import stat
import subprocess
import sys

import pytest

from workbench.core.errors import InputError
from workbench.core.host import process_start
from workbench.serving import discovery
from workbench.serving.discovery import EndpointInfo


def info(**changes):
    pid = os.getpid()
    values = {
        "id": "a1",
        "url": "http://127.0.0.1:1",
        "token": "secret-secret-secret",
        "models": ("数字",),
        "refs": ("model:数字@champion",),
        "pid": pid,
        "pid_started": process_start(pid),
        "started": "2026-11-22T00:00:00.000Z",
        "home": "/w",
    }
    return EndpointInfo(**{**values, **changes})


def test_what_is_written_is_found_and_only_its_owner_may_read_it(tmp_path):
    path = discovery.write(info(), tmp_path / "new")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert discovery.running(tmp_path / "new") == [info()]
    assert discovery.read("a1", tmp_path / "new") == info()
    assert discovery.read("a2", tmp_path / "new") is None


def test_the_token_is_not_shown_by_accident():
    assert "secret" not in repr(info())


def test_only_endpoints_of_the_asked_workspace_are_listed(tmp_path):
    discovery.write(info(), tmp_path)
    discovery.write(info(id="b2", home="/other", started="2026-11-21T00:00:00.000Z"), tmp_path)
    assert [item.id for item in discovery.running(tmp_path)] == ["b2", "a1"]
    assert [item.id for item in discovery.running(tmp_path, home=discovery.Path("/w"))] == ["a1"]


def test_a_process_that_ended_or_whose_pid_was_used_again_is_removed(tmp_path):
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    gone = discovery.write(info(id="gone", pid=child.pid), tmp_path)
    reused = discovery.write(info(id="reused", pid_started="1"), tmp_path)
    assert discovery.running(tmp_path) == []
    assert not gone.exists()
    assert not reused.exists()


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"id": 1, "models": 3, "refs": 4}'])
def test_a_broken_file_is_skipped(tmp_path, text):
    (tmp_path / "workbench-endpoint-x.json").write_text(text)
    assert discovery.running(tmp_path) == []


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="JUPYTER_RUNTIME_DIR"):
        discovery.write(info(), tmp_path / "file")


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"JUPYTER_RUNTIME_DIR": "/r"},
        {"JUPYTER_DATA_DIR": "/d"},
        {"XDG_DATA_HOME": "/x"},
        {"JUPYTER_PLATFORM_DIRS": "1"},
    ],
)
def test_the_folder_is_the_one_that_jupyter_uses(monkeypatch, variables):
    paths = pytest.importorskip("jupyter_core.paths")
    names = ("JUPYTER_RUNTIME_DIR", "JUPYTER_DATA_DIR", "XDG_DATA_HOME", "JUPYTER_PLATFORM_DIRS")
    for name in names:
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert str(discovery.runtime_folder()) == paths.jupyter_runtime_dir()
