"""The first tutorial in JupyterLab, every cell, under a base-URL prefix as on a hub."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.browser.conftest import environment, free_port
from tests.browser.lab import start_lab

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "tutorials" / "01-first-model.ipynb"


@pytest.mark.full  # each panel alone, the whole page, and a prefix are in the default run
def test_every_cell_of_the_tutorial_shows_its_panel(desk, page):
    (desk / "tutorial.ipynb").write_bytes(NOTEBOOK.read_bytes())
    server = start_lab(desk, free_port(), environment(desk), base="/user/someone/")
    try:
        server.wait("api")
        page.open_notebook(server, "tutorial.ipynb")
        page.page.set_viewport_size({"width": 1500, "height": 6000})
        page.run_all()
        for kind in ("study", "dataset", "run", "version", "endpoint"):
            page.page.locator(f"section[data-panel={kind}] .wb-body").wait_for(timeout=120000)
        page.page.wait_for_timeout(1500)
        page.shot("tutorial")
        assert page.page.locator(".jp-mod-error").count() == 0
        endpoint = page.page.locator("section[data-panel=endpoint]")
        endpoint.get_by_role("button", name="A sample of the validation data").click()
        endpoint.locator("[data-answer]").wait_for()
        endpoint.get_by_role("button", name="Stop").click()
        endpoint.get_by_role("button", name="Stop").click()
        page.page.wait_for_selector("section[data-panel=endpoint][data-status=stopped]")
        assert page.errors() == []
    finally:
        server.stop()
