import pytest

from workbench.core.errors import StorageError
from workbench.store.home import Home, find_home


def test_the_variable_wins_then_folder_then_project_then_here(tmp_path, monkeypatch):
    deep = tmp_path / "project" / "notebooks" / "深"
    deep.mkdir(parents=True)
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "chosen"))
    assert find_home(deep).root == tmp_path / "chosen"
    monkeypatch.delenv("WORKBENCH_HOME")
    assert find_home(deep).root == deep / ".workbench"
    (tmp_path / "project" / "pyproject.toml").touch()
    assert find_home(deep).root == tmp_path / "project" / ".workbench"
    (tmp_path / "project" / "notebooks" / ".workbench").mkdir()
    assert find_home(deep).root == tmp_path / "project" / "notebooks" / ".workbench"


def test_a_place_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(StorageError, match="workspace cannot be written: "):
        Home(tmp_path / "file" / "workspace").create()
