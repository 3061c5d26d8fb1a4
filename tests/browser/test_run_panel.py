"""A run in JupyterLab: it shows itself, is paused, stopped, resumed, and survives its kernel."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

import pytest

from tests.browser.lab import write_notebook
from workbench.core.host import process_start

CELL = """import workbench as wb
run = wb.train(wb.load("digits"), family="cnn", epochs=400, seed=1, early_stopping=None)
run"""
PANEL = "section[data-panel=run]"


def more_epochs(page) -> None:
    seen = int(page.page.locator(PANEL).get_attribute("data-epochs"))
    newer = f"Number(document.querySelector('{PANEL}').dataset.epochs) > {seen}"
    page.page.wait_for_function(newer, timeout=60000)


def process_of(desk, ref: str) -> int:
    """The process that trains: the newest one, for an earlier one may still be ending."""
    wanted = {ref.removeprefix("run:").encode(), str(desk / ".workbench").encode()}
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if wanted <= set(path.read_bytes().split(b"\0")):
                pid = int(path.parent.name)
                found.append((float(process_start(pid) or 0), pid))
    return max(found)[1]


def in_state(page, status: str) -> None:
    page.page.wait_for_selector(f"{PANEL}[data-status={status}]", timeout=60000)


def begin(lab, desk, page, name):
    """Opens a notebook whose run trains; returns its panel and the run's ref."""
    write_notebook(desk / name, [CELL])
    page.open_notebook(lab, name)
    page.run_all()
    in_state(page, "running")
    rows = f"Number(document.querySelector('{PANEL}').dataset.epochs) > 3"
    page.page.wait_for_function(rows, timeout=60000)
    panel = page.page.locator(PANEL)
    return panel, panel.locator(".wb-status").inner_text().split()[-1]


def test_a_run_outlives_its_kernel_and_is_stopped_and_resumed(lab, desk, page):
    panel, ref = begin(lab, desk, page, "run.ipynb")
    page.shot("run-running", PANEL)
    page.restart_kernel()
    page.page.wait_for_selector(f"{PANEL}[data-gone]")
    assert f'wb.run("{ref}")' in panel.inner_text()
    page.shot("run-gone", PANEL)
    page.kernel_idle()
    panel.get_by_role("button", name="Re-attach").click()
    page.page.wait_for_selector(f"{PANEL}:not([data-gone])")
    in_state(page, "running")
    more_epochs(page)
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


@pytest.mark.full
def test_a_run_goes_on_over_a_reload_a_pause_and_the_end_of_its_process(lab, desk, page):
    panel, ref = begin(lab, desk, page, "paused.ipynb")
    page.save()
    page.page.reload()
    in_state(page, "running")
    more_epochs(page)
    panel.get_by_role("button", name="Pause").click()
    in_state(page, "paused")
    panel.get_by_role("button", name="Resume").click()
    in_state(page, "running")
    os.kill(process_of(desk, ref), signal.SIGKILL)
    in_state(page, "interrupted")
    panel.get_by_role("button", name="Resume").click()
    in_state(page, "running")
    panel.focus()
    page.page.keyboard.press("Escape")
    in_state(page, "cancelled")
    page.shot("run-stopped", PANEL)
    assert page.errors() == []


@pytest.mark.full
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
