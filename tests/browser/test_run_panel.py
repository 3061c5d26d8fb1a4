"""A run in JupyterLab: it shows itself, can be stopped and resumed, and survives its kernel."""

from __future__ import annotations

from tests.browser.lab import write_notebook

CELL = "import workbench as wb\nrun = wb.train(wb.load('digits'), family='cnn', epochs={epochs}, seed=1, early_stopping=None)\nrun"


def test_stop_resume_and_a_kernel_that_restarts(lab, desk, page):
    write_notebook(desk / "run.ipynb", [CELL.format(epochs=400)])
    page.open_notebook(lab, "run.ipynb")
    page.run_all()
    panel = page.page.locator("section[data-panel=run]")
    panel.wait_for()
    page.page.wait_for_selector("section[data-panel=run][data-status=running]")
    page.page.wait_for_function(
        "document.querySelectorAll('section[data-panel=run] tbody tr').length > 3", timeout=60000
    )
    page.shot("run-running-light-1200")
    ref = panel.locator(".wb-status").inner_text().split()[-1]

    page.command("notebook:restart-kernel") if False else page.page.evaluate(
        "window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()"
    )
    page.page.wait_for_selector("section[data-panel=run][data-gone]", timeout=30000)
    page.shot("run-gone-light-1200")
    assert ref in panel.inner_text()
