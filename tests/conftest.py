"""Fixtures that every test may use: a workspace of its own, and nothing of the user's."""

from __future__ import annotations

import pytest

from workbench.store import Store, open_store


@pytest.fixture
def store(tmp_path) -> Store:
    """An empty workspace."""
    return open_store(tmp_path / ".workbench")


@pytest.fixture(autouse=True, scope="session")
def _own_locks(tmp_path_factory):
    """Tests that run side by side do not wait for each other's measurements."""
    folder = tmp_path_factory.mktemp("runtime")
    folder.chmod(0o700)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(folder))
        yield


@pytest.fixture(autouse=True)
def _own_workspace(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / ".workbench"))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "jupyter-runtime"))
