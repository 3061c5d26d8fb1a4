"""The Binder environment: its own steps in a clean virtual environment, then its three links.

Installs about 2 GB. PyTorch comes by pip instead of conda: where from is this machine's affair.
"""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from tests.browser.conftest import ROOT, environment, free_port
from tests.browser.lab import TOKEN, Server

pytestmark = pytest.mark.full
LARGEST = 2.1e9
BASE = "/user/anna/"


@pytest.fixture(scope="module")
def binder(tmp_path_factory) -> tuple[Path, Path]:
    """A copy of the repository, installed and built as repo2docker does it."""
    home = tmp_path_factory.mktemp("binder")
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, check=True).stdout.split(b"\0")
    for name in (n.decode() for n in names if n and (ROOT / n.decode()).is_file()):
        copy = home / "repo" / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes((ROOT / name).read_bytes())
        copy.chmod((ROOT / name).stat().st_mode)
    repo = home / "repo"
    venv.create(home / "venv", with_pip=True)
    run([repo / "binder" / "postBuild"], repo, home)
    return home, repo


def clean(home: Path) -> dict[str, str]:
    env = {**os.environ, **environment(home), "PATH": f"{home}/venv/bin:{os.environ['PATH']}"}
    return {**env, "PYTHONPATH": "", "WORKBENCH_HOME": ""}


def run(command, repo: Path, home: Path) -> None:
    done = subprocess.run(
        [str(part) for part in command], cwd=repo, env=clean(home), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]


def test_the_environment_is_as_small_as_is_said(binder):
    home, _ = binder
    seen, size = set(), 0
    for path in (home / "venv").rglob("*"):
        found = path.lstat()
        if path.is_file() and not path.is_symlink() and found.st_ino not in seen:
            seen.add(found.st_ino)
            size += found.st_size
    sys.stdout.write(f"\nthe environment: {size / 1e9:.2f} GB\n")
    assert size <= LARGEST
    names = {path.name.lower() for path in (home / "venv/lib").glob("python3*/site-packages/*")}
    assert not [name for name in names if name.startswith(("nvidia", "triton", "playwright"))]


def test_the_three_links_open_with_the_demos_study_there(binder, page):
    home, repo = binder
    port = free_port()
    python = str(home / "venv/bin/python")
    command = [
        "jupyterlab", "--no-browser", "--ip=127.0.0.1", f"--port={port}", "--allow-root",
        f"--ServerApp.base_url={BASE}", f"--IdentityProvider.token={TOKEN}",
        "--LabApp.expose_app_in_browser=True",
    ]  # fmt: skip
    url = f"http://127.0.0.1:{port}{BASE}"
    server = Server(command, repo, clean(home), url, home / "lab.log", python)
    try:
        server.wait("api")
        page.page.goto(f"{url}voila/render/notebooks/dashboards/tradeoff.ipynb?token={TOKEN}")
        page.page.locator("section[data-panel=study] .wb-dot").nth(5).wait_for(timeout=90000)
        assert page.page.locator("p.verdict").inner_text().startswith(("Recommended", "Keep"))
        page.shot("binder-dashboard")
        page.page.goto(f"{url}voila/render/notebooks/dashboards/app.ipynb")
        page.page.locator("section[data-panel=dataset] .wb-tile").first.wait_for(timeout=90000)
        page.page.get_by_role("tab", name="Models").click()
        page.page.locator("section[data-panel=version] .wb-body").wait_for()
        page.shot("binder-app")
        page.open_notebook(server, "notebooks/tutorials/01-first-model.ipynb")
        page.run_all()
        panel = page.page.locator("section[data-panel=study]")
        panel.locator(".wb-dot").nth(5).wait_for(timeout=90000)
        page.shot("binder-tutorial")
        assert page.errors() == []
    finally:
        run([home / "venv/bin/workbench", "stop", "--all"], repo, home)
        server.stop()
