"""A JupyterLab with a finished study, shared by all browser tests.

No browser: CI fails, others skip.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser.lab import CHROMIUM, FLAGS, Page, start_lab
from workbench.store import open_store

ROOT = Path(__file__).parents[2]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _playwright():
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        return None
    return sync_playwright


def pytest_collection_modifyitems(items):
    """Browser tests need Chromium and playwright: a failure in CI, a visible skip elsewhere."""
    reason = (
        None
        if CHROMIUM and _playwright()
        else "needs Chromium and playwright (apt install chromium; pip install playwright)"
    )
    for item in items:
        if Path(item.fspath).parent == Path(__file__).parent and reason:
            if os.environ.get("CI"):
                item.add_marker(pytest.mark.usefixtures("_browser_is_missing"))
            else:
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture
def _browser_is_missing():
    pytest.fail("CI must have Chromium and playwright.")


@pytest.fixture(scope="session")
def desk(tmp_path_factory) -> Iterator[Path]:
    """A folder to work in, with a workspace that holds a finished, small study."""
    folder = tmp_path_factory.mktemp("desk")
    _quiet_settings(folder)
    ready = os.environ.get("WORKBENCH_BROWSER_WORKSPACE")
    if ready:
        shutil.copytree(ready, folder / ".workbench")
    else:
        make_study(folder)
    yield folder
    runs = open_store(folder / ".workbench").runs
    for record in runs.list():
        if not record.is_finished:
            runs.set_control(record.id, "stop")
    stop = [sys.executable, "-m", "workbench.flow.cli.main", "stop", "--all"]
    env = {**os.environ, **environment(folder)}
    subprocess.run(stop, cwd=folder, env=env, check=False, timeout=60)


def make_study(folder: Path) -> None:
    """Makes a workspace with a run, a study of some variants, and a version."""
    code = (
        "import workbench as wb\n"
        "d = wb.load('digits', split=(.5, .25, .25))\n"
        "s = wb.study(wb.train(d, family='cnn', epochs=4, seed=0).wait(), d)\n"
        "for r in ('half:fp16', 'quantize_static', 'prune:0.6'): s.measure(r)\n"
        "v = wb.register(s.smallest(), 'digits-cnn'); wb.promote('digits-cnn', v)\n"
    )
    env = {**os.environ, **environment(folder)}
    subprocess.run([sys.executable, "-c", code], cwd=folder, env=env, check=True, timeout=240)


def _quiet_settings(folder: Path) -> None:
    """No question about news over the pictures; Voila inside Lab as on Binder."""
    voila = folder / "jupyter" / "config" / "voila.json"
    voila.parent.mkdir(parents=True)
    voila.write_text('{"VoilaConfiguration": {"template": "workbench"}}')
    place = folder / "jupyter" / "settings" / "@jupyterlab" / "apputils-extension"
    place.mkdir(parents=True)
    (place / "notification.jupyterlab-settings").write_text(
        '{"fetchNews": "false", "checkForUpdates": false}'
    )


def environment(folder: Path) -> dict[str, str]:
    """Nothing of the user's: own workspace, own Jupyter folders."""
    return {
        "WORKBENCH_HOME": str(folder / ".workbench"),
        "JUPYTER_CONFIG_DIR": str(folder / "jupyter" / "config"),
        "JUPYTER_RUNTIME_DIR": str(folder / "jupyter" / "runtime"),
        "JUPYTERLAB_SETTINGS_DIR": str(folder / "jupyter" / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(folder / "jupyter" / "workspaces"),
        "JUPYTER_PATH": str(ROOT / "workbench" / "flow" / "jupyter"),
        "IPYTHONDIR": str(folder / "ipython"),
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
        "PYTHONWARNINGS": "default",
    }


@pytest.fixture(scope="session")
def lab(desk):
    """A running JupyterLab."""
    server = start_lab(desk, free_port(), environment(desk))
    try:
        yield server.wait("api")
    finally:
        server.stop()


@pytest.fixture(scope="session")
def browser():
    """A Chromium."""
    with _playwright()() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser):
    """A fresh page, 1200 pixels wide."""
    context = browser.new_context(viewport={"width": 1500, "height": 1100})
    context.set_default_timeout(30000)
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    shown = Page(context.new_page())
    yield shown
    with contextlib.suppress(Exception):  # Voila has no kernel to end; a test may have left Lab
        shown.leave()
    context.close()
    assert shown.elsewhere == [], "every screen loads from this machine alone"
