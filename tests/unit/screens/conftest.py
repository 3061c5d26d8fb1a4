"""The line of Python that a screen shows, run as a notebook would."""

from __future__ import annotations

import pytest

import workbench


@pytest.fixture
def in_python(road, monkeypatch):
    """Runs a line in the workspace that the screens show, and returns its value."""
    monkeypatch.setenv("WORKBENCH_HOME", str(road.workspace.store.home.root))
    return lambda line, **names: eval(line, {"wb": workbench, **names})
