"""Every panel at 1200 and 700 pixels, light and dark: it fits, and axe finds nothing serious."""

from __future__ import annotations

import pytest

from tests.browser.lab import write_notebook

CELLS = {
    "dataset": "wb.load('digits')",
    "run": "wb.runs('train')[-1]",
    "study": """from workbench.flow.verbs import default_workspace
wb.study(default_workspace().store.studies.all()[-1].ref)""",
    "version": "wb.version('model:digits-cnn@1')",
}


@pytest.mark.parametrize(
    "dark",
    [pytest.param(False, id="light"), pytest.param(True, id="dark", marks=pytest.mark.full)],
)
@pytest.mark.parametrize("kind", CELLS)
def test_a_panel_fits_and_is_accessible(lab, desk, page, kind, dark):
    axe = pytest.importorskip("axe_core_python.sync_playwright").Axe()
    write_notebook(desk / f"w-{kind}.ipynb", [f"import workbench as wb\n{CELLS[kind]}"])
    page.open_notebook(lab, f"w-{kind}.ipynb")
    page.theme(dark=dark)
    page.page.evaluate("window.jupyterapp.shell.collapseLeft()")
    page.run_all()
    selector = f"section[data-panel={kind}]"
    page.page.locator(f"{selector} .wb-body").wait_for()
    page.page.wait_for_timeout(1200)
    name = "dark" if dark else "light"
    for width in (1200, 700):
        page.page.set_viewport_size({"width": width, "height": 1900})
        page.page.wait_for_timeout(500)
        page.shot(f"w-{kind}-{name}-{width}", selector)
        overflow = "n => n.scrollWidth - n.clientWidth"
        wide = page.page.locator(selector).evaluate(overflow)
        assert wide <= 0
    found = axe.run(page.page, context=selector)
    serious = [v for v in found["violations"] if v["impact"] in ("serious", "critical")]
    assert not serious, [(v["id"], [n["html"][:160] for n in v["nodes"]][:4]) for v in serious]
    assert page.errors() == []
