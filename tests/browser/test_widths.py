"""Every panel at 1200 and 700 pixels, light and dark: it fits, and axe finds nothing serious."""

from __future__ import annotations

import pytest

from tests.browser.lab import write_notebook

CELLS = {
    "dataset": "import workbench as wb\nwb.load('digits')",
    "run": "wb.runs('train')[-1]",
    "study": """from workbench.flow.verbs import default_workspace
wb.study(default_workspace().store.studies.all()[-1].ref)""",
    "version": "wb.version('model:digits-cnn@1')",
    "endpoint": "wb.serve('model:digits-cnn@1')",
}
FULL = {
    "dataset": ".wb-tile", "run": "canvas", "study": ".wb-dot", "version": "[data-key]",
    "endpoint": "[aria-label=Snippet]",
}  # fmt: skip


@pytest.mark.parametrize(
    "dark",
    [pytest.param(False, id="light"), pytest.param(True, id="dark", marks=pytest.mark.full)],
)
def test_every_panel_fits_and_is_accessible(lab, desk, page, dark):
    axe = pytest.importorskip("axe_core_python.sync_playwright").Axe()
    name = "dark" if dark else "light"
    write_notebook(desk / f"widths-{name}.ipynb", list(CELLS.values()))
    page.page.set_viewport_size({"width": 1200, "height": 7000})
    page.open_notebook(lab, f"widths-{name}.ipynb")
    page.theme(dark=dark)
    page.page.evaluate("window.jupyterapp.shell.collapseLeft()")
    page.run_all()
    for kind, full in FULL.items():
        page.page.locator(f"section[data-panel={kind}] {full}").first.wait_for(timeout=60000)
        page.page.locator(f"section[data-panel={kind}][data-theme={name}]").wait_for()
    problems = []
    for width in (1200, 700):
        page.page.set_viewport_size({"width": width, "height": 9000})
        page.page.wait_for_function(f"document.documentElement.clientWidth <= {width}")
        for kind in CELLS:
            selector = f"section[data-panel={kind}]"
            page.shot(f"w-{kind}-{name}-{width}", selector)
            overflow = "n => n.scrollWidth - n.clientWidth"
            if page.page.locator(selector).evaluate(overflow) > 0:
                problems.append((kind, width, "wider than its place"))
    for kind in CELLS:
        found = axe.run(page.page, context=f"section[data-panel={kind}]")
        problems += [
            (kind, v["id"], [n["html"][:160] for n in v["nodes"]][:4])
            for v in found["violations"]
            if v["impact"] in ("serious", "critical")
        ]
    endpoint = page.page.locator("section[data-panel=endpoint]")
    endpoint.get_by_role("button", name="Stop").click()
    endpoint.get_by_role("button", name="Stop").click()
    page.page.wait_for_selector("section[data-panel=endpoint][data-status=stopped]")
    assert not problems
    assert page.errors() == []
