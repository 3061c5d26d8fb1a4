"""A run in JupyterLab: it shows itself, is paused, stopped, resumed, and survives its kernel."""

from __future__ import annotations

from tests.browser.lab import write_notebook

CELL = """import workbench as wb
run = wb.train(wb.load("digits"), family="cnn", epochs=400, seed=1, early_stopping=None)
run"""
PANEL = "section[data-panel=run]"


def in_state(page, status: str) -> None:
    page.page.wait_for_selector(f"{PANEL}[data-status={status}]", timeout=60000)


def test_a_run_outlives_its_kernel_and_is_stopped_and_resumed(lab, desk, page):
    write_notebook(desk / "run.ipynb", [CELL])
    page.open_notebook(lab, "run.ipynb")
    page.run_all()
    in_state(page, "running")
    rows = f"Number(document.querySelector('{PANEL}').dataset.epochs) > 3"
    page.page.wait_for_function(rows, timeout=60000)
    page.shot("run-running", PANEL)
    panel = page.page.locator(PANEL)
    ref = panel.locator(".wb-status").inner_text().split()[-1]

    page.restart_kernel()
    page.page.wait_for_selector(f"{PANEL}[data-gone]")
    assert f'wb.run("{ref}")' in panel.inner_text()

    write_notebook(desk / "again.ipynb", [f'import workbench as wb\nwb.run("{ref}")'])
    page.open_notebook(lab, "again.ipynb")
    page.run_all()
    in_state(page, "running")
    panel.get_by_role("button", name="Pause").click()
    in_state(page, "paused")
    panel.get_by_role("button", name="Resume").click()
    in_state(page, "running")
    panel.get_by_role("button", name="Stop").dblclick()
    in_state(page, "cancelled")
    assert f'wb.run("{ref}").stop()' in panel.locator(".wb-line").inner_text()
    panel.get_by_role("button", name="Resume").click()
    in_state(page, "running")
    panel.focus()
    page.page.keyboard.press("Escape")
    in_state(page, "cancelled")
    page.shot("run-stopped", PANEL)
    assert page.errors() == []


def test_a_run_that_fails_says_why(lab, desk, page):
    cell = """import torch, workbench as wb
class Broken(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(64, 10)
    def forward(self, x):
        raise ValueError("my own mistake")
wb.train(wb.load("digits"), Broken(), epochs=1)"""
    write_notebook(desk / "broken.ipynb", [cell])
    page.open_notebook(lab, "broken.ipynb")
    page.run_all()
    in_state(page, "failed")
    assert "my own mistake" in page.page.locator(PANEL).inner_text()
    page.shot("run-failed", PANEL)
