"""What an endpoint still does when the disk is full, or its workspace is somewhere else."""

import json
import subprocess

import pytest

from tests.unit.serving.harness import running
from workbench.core.errors import StateError
from workbench.core.host import is_root
from workbench.serving.reserved import ReservedFile
from workbench.serving.sources import StoreRegistry
from workbench.serving.state import StateFile
from workbench.store import open_store


@pytest.fixture
def small(tmp_path):
    """A file system of two megabytes."""
    place = tmp_path / "small"
    place.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place)]
    if not is_root() or subprocess.run(mounting, check=False, capture_output=True).returncode:
        pytest.skip("nothing can be mounted here")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def fill(place):
    with (place / "ballast").open("wb", buffering=0) as file, pytest.raises(OSError, match="space"):
        while True:
            file.write(bytes(4096))


def test_a_reserved_file_is_written_again_and_again_on_a_full_disk(small):
    file = ReservedFile(small / "state.json")
    file.reserve("{}")
    fill(small)
    for number in range(5):
        file.write(json.dumps({"number": number, "filler": "x" * 40_000 * (number % 2)}))
        found = json.loads((small / "state.json").read_text())
        assert found["number"] == number
    with pytest.raises(OSError, match="space"):
        file.write("x" * 140_000)
    assert json.loads((small / "state.json").read_text())["number"] == 4
    names = {path.name for path in small.iterdir()}
    assert names == {"ballast", "state.json", "state.spare"}
    assert (small / "state.json").stat().st_mode & 0o777 == 0o600


def test_a_token_is_revoked_on_a_full_disk_for_good(small, square_file):
    store = open_store(small / "home")
    folder = small / "home" / "endpoints" / "e"
    folder.mkdir(parents=True)
    options = {"registry": StoreRegistry(store), "folder": folder}
    with running(square_file, **options) as found:
        made = found.http.post("/manage/tokens", json={"name": "ci"}).json()
        fill(small)
        for name in ("ci", "reader"):
            told = found.http.delete(f"/manage/tokens/{name}")
            assert told.status_code == 200
            assert "not written" in told.json()["audit"]
        for token in (made["token"], found.reader):
            headers = {"authorization": f"Bearer {token}"}
            assert found.http.get("/v2", headers=headers).status_code == 403
    kept = StateFile(folder).read()
    assert kept.tokens == ()
    assert len(kept.revoked) == 1


def test_nothing_is_made_where_a_workspace_was(tmp_path):
    folder = tmp_path / "home" / "endpoints" / "e"
    folder.mkdir(parents=True)
    state = StateFile(folder)
    state.update(lambda found: found)
    (tmp_path / "home").rename(tmp_path / "elsewhere")
    with pytest.raises(StateError, match="moved"):
        state.update(lambda found: found)
    assert [path.name for path in tmp_path.iterdir()] == ["elsewhere"]
