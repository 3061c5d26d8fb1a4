"""Saved notebooks without a kernel: opened again, not trusted, and exported, read offline."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.browser.conftest import environment, free_port
from tests.browser.lab import Page, start_lab, write_notebook

OPEN = """import workbench as wb
from workbench.flow.verbs import default_workspace
study = wb.study(default_workspace().store.studies.all()[-1].ref)
study"""
CELLS = {
    "study": OPEN,
    "dataset": "study.data",
    "run": "wb.runs('train')[-1]",
    "version": "wb.version('model:digits-cnn@1')",
    "app": "wb.app()",
}
SEEN = "(nodes) => nodes.map((n) => n.checkVisibility({ visibilityProperty: true }))"
DRAWN = "(nodes) => nodes.map((n) => n.checkVisibility() && n.naturalWidth > 100)"
TWINS, PICTURES, ERRORS = (
    ".wb-twin",
    ".jp-RenderedImage img",
    ".jp-OutputArea-output.jupyter-widgets",
)


@pytest.fixture
def saved(lab, desk, page):
    """A notebook with every panel, run in JupyterLab and saved without widget state."""
    path = write_notebook(desk / "saved.ipynb", list(CELLS.values()))
    page.open_notebook(lab, path.name)
    page.page.set_viewport_size({"width": 1300, "height": 5000})
    page.run_all()
    page.page.locator("[data-panel=app]").wait_for(timeout=60000)
    page.page.locator("section[data-panel=version] .wb-body").wait_for()
    assert not any(page.page.locator(TWINS).evaluate_all(SEEN)), "a live panel hides its twin"
    assert not any(page.page.locator(PICTURES).evaluate_all(SEEN))
    page.shot("saved-live")
    page.command("docmanager:save")
    page.page.wait_for_function("!window.jupyterapp.shell.currentWidget.context.model.dirty")
    assert page.errors() == []
    return path


@pytest.mark.full
def test_a_saved_notebook_shows_cards_with_pictures(saved, desk, browser, page):
    written = json.loads(saved.read_text())
    assert "widgets" not in written["metadata"]
    for cell in written["cells"]:
        assert len(json.dumps(cell["outputs"])) <= 100_000
    copy = desk / "from-elsewhere.ipynb"
    written["cells"][0]["source"] += "  # changed, so the signature is gone"
    copy.write_text(json.dumps(written))
    server = start_lab(desk, free_port(), environment(desk))
    try:
        server.wait("api")
        page.open_notebook(server, saved.name)
        page.page.wait_for_function(
            "(n) => document.querySelectorAll('.jp-OutputArea-output.jupyter-widgets').length == n",
            arg=len(CELLS),
        )
        all_seen(page, "trusted")
        assert not any(page.page.locator(ERRORS).evaluate_all(SEEN)), "model not found"
        page.open_notebook(server, copy.name)
        all_seen(page, "untrusted")
    finally:
        server.stop()
    export(saved, desk, browser, "exported")


@pytest.mark.full
def test_an_export_that_was_executed_and_keeps_widget_state_is_complete_offline(desk, browser):
    """Stored widget state asks a server for its scripts: that made an export blank."""
    path = write_notebook(desk / "executed.ipynb", list(CELLS.values()))
    export(path, desk, browser, "executed", "--execute")


def export(notebook, desk, browser, name, *options):
    command = [sys.executable, "-m", "nbconvert", "--to", "html", "--output", name, *options]
    env = {**os.environ, **environment(desk)}
    subprocess.run([*command, str(notebook)], cwd=desk, env=env, check=True, capture_output=True)
    context = browser.new_context(viewport={"width": 1100, "height": 3000})
    context.set_offline(True)
    page = Page(context.new_page())
    page.page.goto((desk / f"{name}.html").as_uri())
    all_seen(page, name)
    context.close()


def all_seen(page, name):
    """Each record's card and pictures; the app has none."""
    page.page.locator(TWINS).nth(len(CELLS) - 1).wait_for()
    page.page.wait_for_function(
        "() => [...document.querySelectorAll('.jp-RenderedImage img')].every((i) => i.complete)"
    )
    page.shot(f"saved-{name}")
    assert page.page.locator(TWINS).evaluate_all(SEEN) == [True] * len(CELLS)
    assert page.page.locator(PICTURES).evaluate_all(DRAWN) == [True] * (len(CELLS) - 1)
