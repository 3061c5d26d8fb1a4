"""Saved notebooks: without a kernel, not trusted, and as HTML read offline."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.browser.conftest import environment, free_port
from tests.browser.lab import start_lab, write_notebook

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
VISIBLE = "n => n.checkVisibility()"
PICTURES = "n => [...n].map((i) => i.checkVisibility() && i.naturalWidth)"


@pytest.fixture
def saved(lab, desk, page):
    """A notebook with every panel, run in JupyterLab and saved without widget state."""
    path = write_notebook(desk / "saved.ipynb", list(CELLS.values()))
    page.open_notebook(lab, path.name)
    page.page.set_viewport_size({"width": 1300, "height": 5000})
    page.run_all()
    page.page.locator("[data-panel=app]").wait_for(timeout=60000)
    page.page.locator("section[data-panel=version] .wb-body").wait_for()
    for twin in page.page.locator(".wb-twin").all():
        assert not twin.evaluate(VISIBLE), "beside a live panel its twin is hidden"
    assert not any(page.page.locator(".jp-RenderedImage img").evaluate_all(PICTURES))
    page.shot("saved-live")
    page.command("docmanager:save")
    page.page.wait_for_function("!window.jupyterapp.shell.currentWidget.context.model.dirty")
    assert page.errors() == []
    return path


def test_a_saved_notebook_shows_cards_with_pictures_without_a_kernel(saved, desk, browser, page):
    assert "widgets" not in json.loads(saved.read_text())["metadata"]
    for cell in json.loads(saved.read_text())["cells"]:
        assert len(json.dumps(cell["outputs"])) <= 200_000
    copy = desk / "copy-of-saved.ipynb"
    copy.write_bytes(saved.read_bytes().replace(b'"metadata": {', b'"metadata": {"x": 1, ', 1))
    server = start_lab(desk, free_port(), environment(desk))
    try:
        server.wait("api")
        for name, is_trusted in ((saved.name, True), (copy.name, False)):
            page.open_notebook(server, name)
            page.page.wait_for_function(
                f"document.querySelectorAll('.wb-twin').length === {len(CELLS)}"
            )
            for twin in page.page.locator(".wb-twin").all():
                assert twin.evaluate(VISIBLE)
            assert all(page.page.locator(".jp-RenderedImage img").evaluate_all(PICTURES))
            if is_trusted:
                gone = page.page.locator(".jp-OutputArea-output.jupyter-widgets")
                page.page.wait_for_function(
                    "document.querySelectorAll('.jp-OutputArea-output.jupyter-widgets').length"
                    f" === {len(CELLS)}"
                )
                for error in gone.all():
                    assert not error.evaluate(VISIBLE), error.inner_text()
            page.shot(f"saved-{'again' if is_trusted else 'untrusted'}")
    finally:
        server.stop()


@pytest.mark.parametrize("state", ["without", "with"])
def test_an_export_to_html_is_complete_offline(saved, desk, browser, state):
    """Executed by nbconvert itself, widget state is stored: that made an export blank."""
    options = ["--execute"] if state == "with" else []
    command = [sys.executable, "-m", "nbconvert", "--to", "html", "--output", state, *options]
    subprocess.run(
        [*command, str(saved)], cwd=desk, env=_env(desk), check=True, capture_output=True
    )
    context = browser.new_context(viewport={"width": 1100, "height": 4000})
    context.set_offline(True)
    page = context.new_page()
    page.goto((desk / f"{state}.html").as_uri())
    for twin in page.locator(".wb-twin").all():
        assert twin.evaluate(VISIBLE)
    assert page.locator(".wb-twin").count() == len(CELLS)
    pictures = page.locator(".jp-RenderedImage img")
    assert pictures.count() == 4
    assert all(pictures.evaluate_all(PICTURES))
    assert all(len(image.get_attribute("alt")) > 10 for image in pictures.all())
    shot(page, f"export-{state}")
    context.close()


def _env(desk):
    import os

    return {**os.environ, **environment(desk)}


def shot(page, name):
    from tests.browser.lab import SHOTS

    if SHOTS is not None:
        page.screenshot(path=str(SHOTS / f"{name}.png"))
