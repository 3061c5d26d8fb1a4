"""`make bench-ui`: figures of the screen beside their goals, in a real JupyterLab and Voila."""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

from tests.browser.conftest import environment, free_port, make_study
from tests.browser.lab import CHROMIUM, FLAGS, Page, start_lab, start_voila, write_notebook

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "dashboards" / "tradeoff.ipynb"
OPEN = """from workbench.flow.verbs import default_workspace
study = wb.study(default_workspace().store.studies.all()[-1].ref)"""
TRAIN = "wb.train(wb.load('digits'), family='cnn', epochs=2000, batch_size=16, early_stopping=None)"


def row(name: str, value: float, goal: float, unit: str) -> None:
    sign = "✓" if value <= goal else "✕"
    sys.stdout.write(f"{sign} {name:<58} {value:>9.1f} {unit:<4} goal ≤ {goal:g} {unit}\n")
    sys.stdout.flush()


def cell_to_panel(page: Page, server: Any, desk: Path, rounds: int = 5) -> float:
    """Milliseconds from running a cell to the panel's first point, kernel warm."""
    write_notebook(
        desk / "b1.ipynb", [f"import workbench as wb\n{OPEN}\nstudy", *["study"] * rounds]
    )
    page.open_notebook(server, "b1.ipynb")
    page.command("notebook:run-cell-and-select-next")
    page.page.locator("section[data-panel=study] .wb-dot").first.wait_for()
    page.page.wait_for_timeout(1500)
    times = []
    for i in range(rounds):
        began = time.perf_counter()
        page.command("notebook:run-cell-and-select-next")
        page.page.locator("section[data-panel=study]").nth(i + 1).locator(
            ".wb-dot"
        ).first.wait_for()
        times.append(1000 * (time.perf_counter() - began))
    return statistics.median(times)


def open_one(page: Page, server: Any, desk: Path) -> None:
    """Opens a notebook with one explorer."""
    write_notebook(desk / "b0.ipynb", [f"import workbench as wb\n{OPEN}\nstudy"])
    page.open_notebook(server, "b0.ipynb")
    page.run_all()
    page.page.locator("section[data-panel=study] .wb-dot").first.wait_for()
    page.page.wait_for_timeout(1500)


def slider_to_paint(page: Page) -> float:
    """95th percentile of milliseconds from a slider's input to the next painted frame."""
    return float(
        page.page.evaluate("""async () => {
        const panel = document.querySelector("section[data-panel=study]");
        const knob = panel.querySelector("input[data-knob='prune_structured.amount']");
        const times = [];
        for (let i = 0; i < 40; i += 1) {
            knob.value = 0.1 + 0.02 * i;
            const began = performance.now();
            knob.dispatchEvent(new Event("input", { bubbles: true }));
            await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
            times.push(performance.now() - began);
        }
        return times.sort((a, b) => a - b)[37];
    }""")
    )


def long_tasks(page: Page, server: Any, desk: Path, seconds: int) -> Iterator[float]:
    """Changes a second of a live run's panel, and its long tasks in milliseconds."""
    write_notebook(desk / "b2.ipynb", [f"import workbench as wb\nrun = {TRAIN}\nrun"])
    page.open_notebook(server, "b2.ipynb")
    page.run_all()
    page.page.wait_for_selector("section[data-panel=run][data-status=running]", timeout=60000)
    page.page.wait_for_timeout(5000)
    found = page.page.evaluate(
        """async (seconds) => {
        const long = [];
        const keep = (list) => list.getEntries().forEach((e) => long.push(e.duration));
        const seen = new PerformanceObserver(keep);
        seen.observe({ entryTypes: ["longtask"] });
        let changes = 0;
        const note = document.querySelector("section[data-panel=run] .wb-bar").nextSibling;
        const watch = new MutationObserver(() => { changes += 1; });
        watch.observe(note, { childList: true });
        await new Promise((done) => setTimeout(done, 1000 * seconds));
        return [changes / seconds, Math.max(0, ...long), long.length];
    }""",
        seconds,
    )
    page.page.locator("section[data-panel=run]").get_by_role("button", name="Stop").click()
    page.page.wait_for_selector("section[data-panel=run][data-status=cancelled]", timeout=60000)
    yield from found


def voila_cold(chromium: Any, desk: Path) -> float:
    """Seconds from opening the dashboard to its first point, Voila just started."""
    copy = desk / "tradeoff.ipynb"
    copy.write_bytes(NOTEBOOK.read_bytes())
    server = start_voila(copy, free_port(), environment(desk))
    try:
        server.wait("voila/static/favicon.ico")
        page = chromium.new_page()
        began = time.perf_counter()
        page.goto(server.url)
        page.locator("section[data-panel=study] .wb-dot").first.wait_for(timeout=120000)
        return time.perf_counter() - began
    finally:
        server.stop()


def first_messages(desk: Path) -> dict[str, int]:
    """Bytes of each panel's first message, as its state is sent."""
    code = f"""import warnings; warnings.simplefilter("ignore")
import json, workbench as wb
{OPEN}
from workbench.widgets.live.run import show_run
from workbench.widgets.live.study import show_study
from workbench.widgets.live.dataset import show_dataset
from workbench.widgets.live.version import show_version
from ipywidgets.widgets.widget import _remove_buffers
sizes = {{}}
for name, panel in dict(run=show_run(wb.runs("train")[-1]), study=show_study(study),
    dataset=show_dataset(study.data), version=show_version(wb.models()[0])).items():
    state, _, buffers = _remove_buffers(panel.get_state())
    sizes[name] = len(json.dumps(state)) + sum(memoryview(b).nbytes for b in buffers)
print(json.dumps(sizes))"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=desk, capture_output=True, text=True, check=True,
        env={**environment(desk), "PATH": "/usr/bin:/bin"}, timeout=120,
    )  # fmt: skip
    sizes: dict[str, int] = json.loads(done.stdout.splitlines()[-1])
    return sizes


def main() -> int:
    """Prints every figure beside its goal."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=int, default=60, help="how long a run is watched")
    parser.add_argument("--workspace", help="a workspace with a study; by default one is made")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        desk = Path(folder)
        if options.workspace:
            shutil.copytree(options.workspace, desk / ".workbench")
        else:
            make_study(desk)
        for name, size in first_messages(desk).items():
            row(f"first message of the {name} panel", size / 1000, 100, "kB")
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        server = start_lab(desk, free_port(), environment(desk))
        try:
            server.wait("api")
            page = Page(chromium.new_page(viewport={"width": 1500, "height": 1100}))
            row(
                "run cell → panel visible (Lab, warm kernel), median",
                cell_to_panel(page, server, desk),
                1500,
                "ms",
            )
            open_one(page, server, desk)
            row("slider → redrawn, 95th percentile", slider_to_paint(page), 100, "ms")
            rate, longest, count = long_tasks(page, server, desk, options.seconds)
            row(f"a run for {options.seconds} s: changes a second", rate, 10.5, "/s")
            row(
                f"a run for {options.seconds} s: longest task ({count:g} over 50 ms)",
                longest,
                50,
                "ms",
            )
        finally:
            server.stop()
        row("Voila, cold: page → first point", voila_cold(chromium, desk), 6, "s")
        chromium.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
