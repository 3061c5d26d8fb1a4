"""`make picture`: the README's picture, a screenshot of the explorer on the demo's study."""

from __future__ import annotations

import argparse
import io
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from tests.browser.conftest import ROOT, _quiet_settings, environment, free_port
from tests.browser.lab import CHROMIUM, FLAGS, Page, Server, start_lab

TUTORIAL = ROOT / "notebooks" / "tutorials" / "01-first-model.ipynb"
TARGET = ROOT / ".github" / "images" / "explorer.png"
PANEL = "section[data-panel=study]"
LARGEST = 300_000
ESTIMATED = f"""() => !/estimating|score open/.test(
    document.querySelector("{PANEL} .wb-estimate").closest("svg").textContent)"""


def main() -> int:
    """Takes the picture; says where it is and how large."""
    parser = argparse.ArgumentParser(prog="python -m tests.browser.picture", description=__doc__)
    parser.add_argument("--workspace", help="one with the demo's study; by default it is made")
    ready = parser.parse_args().workspace
    with tempfile.TemporaryDirectory() as folder:
        desk = Path(folder)
        _quiet_settings(desk)
        env = environment(desk)
        if ready:
            shutil.copytree(ready, desk / ".workbench")
        else:
            demo = [sys.executable, "-m", "workbench.flow.cli.main", "demo"]
            whole = {**os.environ, **env}
            subprocess.run(demo, cwd=desk, env=whole, check=True, capture_output=True)
        (desk / TUTORIAL.name).write_bytes(TUTORIAL.read_bytes())
        server = start_lab(desk, free_port(), env)
        try:
            server.wait("api")
            shot = take(server)
        finally:
            server.stop()
    size = keep(shot)
    sys.stdout.write(f"{TARGET.relative_to(ROOT)}: {size / 1000:.0f} kB\n")
    return 0


def take(server: Server) -> bytes:
    """A slider is moved, so that the estimate with its band is in the picture."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = Page(chromium.new_page(viewport={"width": 1380, "height": 1060}))
        page.open_notebook(server, TUTORIAL.name)
        page.page.evaluate("window.jupyterapp.shell.collapseLeft()")
        for _ in range(5):
            page.command("notebook:run-cell-and-select-next")
        panel = page.page.locator(PANEL)
        panel.locator(".wb-dot").nth(5).wait_for(timeout=120000)
        panel.locator("input[data-knob='prune.amount']").focus()
        for _ in range(8):
            page.page.keyboard.press("ArrowRight")
        panel.locator(".wb-estimate").wait_for(state="attached")
        page.page.wait_for_function(ESTIMATED, timeout=120_000)
        page.page.locator(PANEL).evaluate("n => n.closest('.jp-Cell').scrollIntoView()")
        page.page.wait_for_timeout(500)
        shot = page.page.screenshot()
        chromium.close()
    return shot


def keep(shot: bytes) -> int:
    """Writes the picture with as few colors as its size allows."""
    image = Image.open(io.BytesIO(shot)).convert("RGB")
    for colors in (256, 128, 64):
        kept = io.BytesIO()
        image.quantize(colors, dither=Image.Dither.NONE).save(kept, "PNG", optimize=True)
        if kept.tell() <= LARGEST:
            break
    TARGET.write_bytes(kept.getvalue())
    return kept.tell()


if __name__ == "__main__":
    sys.exit(main())
