"""`make bench-ui`: figures of the screen beside their goals, in a real JupyterLab and Voila.

`python -m tests.browser.bench [--full] [--seconds N] [--json FILE] [--workspace FOLDER]`; with
`--full` a run is watched for ten minutes. Nothing else should run on the machine meanwhile.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

from tests.benchmarks.figure import Figure, shown
from tests.browser.conftest import environment, free_port, make_study
from tests.browser.lab import CHROMIUM, FLAGS, Page, Server, start_lab, write_notebook
from workbench.core.host import usable_cores

OPEN = """from workbench.flow.verbs import default_workspace
study = wb.study(default_workspace().store.studies.all()[-1].ref)"""
TRAIN = "wb.train(wb.load('digits'), family='cnn', epochs=5000, batch_size=16, early_stopping=None)"
PANEL, POINT = "section[data-panel=study]", "section[data-panel=study] .wb-dot"
RUN = "section[data-panel=run]"
KERNEL = "import os, pathlib\nprint('pid', os.getpid())"

SLIDER = """async () => {
    const knob = document.querySelector("input[data-knob='prune_structured.amount']");
    const times = [];
    for (let i = 0; i < 120; i += 1) {
        knob.value = 0.1 + 0.006 * i;
        const began = performance.now();
        knob.dispatchEvent(new Event("input", { bubbles: true }));
        await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
        times.push(performance.now() - began);
    }
    return times.sort((a, b) => a - b);
}"""
TEN = """async (seconds) => {
    const knobs = [...document.querySelectorAll("input[type=range][data-knob]")].slice(0, 10);
    const end = performance.now() + 1000 * seconds;
    let moves = 0;
    while (performance.now() < end) {
        const knob = knobs[moves % knobs.length], low = Number(knob.min), high = Number(knob.max);
        knob.value = low + (high - low) * ((moves * 0.137) % 1);
        knob.dispatchEvent(new Event("input", { bubbles: true }));
        moves += 1;
        await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
    }
    return [knobs.length, moves];
}"""
WATCH = """() => {
    const seen = { long: [], changes: 0 };
    const keep = (list) => list.getEntries().forEach((e) => seen.long.push(e.duration));
    new PerformanceObserver(keep).observe({ entryTypes: ["longtask"] });
    const note = document.querySelector("section[data-panel=run] .wb-bar").nextSibling;
    new MutationObserver(() => { seen.changes += 1; }).observe(note, { childList: true });
    window.seenByBench = seen;
}"""
SIZES = """import warnings; warnings.simplefilter("ignore")
import json, workbench as wb
{open}
from workbench.widgets.live.endpoint import show_endpoint
from workbench.widgets.live.run import show_run
from workbench.widgets.live.study import show_study
from workbench.widgets.live.dataset import show_dataset
from workbench.widgets.live.version import show_version
from ipywidgets.widgets.widget import _remove_buffers
endpoint = wb.serve(wb.models()[0])
sizes = {{}}
panels = dict(dataset=show_dataset(study.data), run=show_run(wb.runs("train")[-1]),
    study=show_study(study), version=show_version(wb.models()[0]), endpoint=show_endpoint(endpoint))
for name, panel in panels.items():
    state, _, buffers = _remove_buffers(panel.get_state())
    sizes[name] = len(json.dumps(state)) + sum(memoryview(b).nbytes for b in buffers)
endpoint.stop()
print(json.dumps(sizes))"""


def first_messages(desk: Path) -> Iterator[Figure]:
    """Bytes of each panel's first message, as its state is sent."""
    done = subprocess.run(
        [sys.executable, "-c", SIZES.format(open=OPEN)], cwd=desk, capture_output=True, text=True,
        check=True, env={**os.environ, **environment(desk)}, timeout=120,
    )  # fmt: skip
    for name, size in json.loads(done.stdout.splitlines()[-1]).items():
        yield Figure(f"first message of the {name} panel", size / 1000, "kB", 100)


def cell_to_panel(page: Page, server: Server, desk: Path, rounds: int = 7) -> Iterator[Figure]:
    """Milliseconds from running a cell to the panel's first point, kernel warm."""
    cells = [f"import workbench as wb\n{OPEN}\nstudy", *["study"] * rounds]
    write_notebook(desk / "b1.ipynb", cells)
    page.open_notebook(server, "b1.ipynb")
    page.command("notebook:run-cell-and-select-next")
    page.page.locator(POINT).first.wait_for()
    page.page.wait_for_timeout(1500)
    times = []
    for i in range(rounds):
        began = time.perf_counter()
        page.command("notebook:run-cell-and-select-next")
        page.page.locator(PANEL).nth(i + 1).locator(".wb-dot").first.wait_for()
        times.append(1000 * (time.perf_counter() - began))
    yield Figure(
        "run cell → panel visible (Lab, warm), median", statistics.median(times), "ms", 1500
    )


def slider_to_paint(page: Page, server: Server, desk: Path) -> Iterator[Figure]:
    """Milliseconds from a slider's input to the next painted frame, one explorer open."""
    opened = f"{KERNEL}\nimport workbench as wb\n{OPEN}\nstudy"
    busy = "import time\nprint('busy', 'now')\ntime.sleep(20)"
    write_notebook(desk / "b0.ipynb", [opened, busy, "print('answer', 'ed')"])
    page.open_notebook(server, "b0.ipynb")
    page.command("notebook:run-cell-and-select-next")
    page.page.locator(POINT).first.wait_for()
    page.page.wait_for_selector(f"{PANEL}[data-computes]", timeout=60000)
    page.page.wait_for_timeout(1500)
    idle = page.page.evaluate("""async () => { const began = performance.now();
        for (let i = 0; i < 60; i += 1)
            await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
        return (performance.now() - began) / 60; }""")
    yield Figure("a frame of this browser with nothing to do", idle, "ms")
    times = page.page.evaluate(SLIDER.replace("knob.dispatch", "new EventTarget().dispatch"))
    yield Figure("the same, one by one: 95th percentile", times[int(0.95 * len(times))], "ms")
    times = page.page.evaluate(SLIDER)
    yield Figure("slider → redrawn, median", times[len(times) // 2], "ms")
    yield Figure("slider → redrawn, 95th percentile", times[int(0.95 * len(times))], "ms", 30)
    tasks = processor_ms_of_tasks(page, lambda: page.page.evaluate(SLIDER))
    yield Figure("the same, processor time of the longest task", max(tasks), "ms", 50)
    page.command("notebook:run-cell-and-select-next")
    page.page.get_by_text("busy now").wait_for()
    times = page.page.evaluate(SLIDER)
    yield Figure("the same, kernel busy: 95th percentile", times[int(0.95 * len(times))], "ms", 30)
    page.kernel_idle()
    yield from ten_sliders(page)


def ten_sliders(page: Page, seconds: int = 60) -> Iterator[Figure]:
    """Ten sliders moved without a pause: what grows, and what is left to be done afterwards."""
    pid = int(page.page.get_by_text("pid ", exact=False).last.inner_text().split()[-1])
    page.page.evaluate(TEN, 5)
    before = kernel_mb(pid), heap_mb(page)
    count, moves = page.page.evaluate(TEN, seconds)
    began = time.perf_counter()
    page.command("notebook:run-cell-and-select-next")
    page.page.get_by_text("answer ed").wait_for()
    waited = time.perf_counter() - began
    after = kernel_mb(pid), heap_mb(page)
    words = f"{count} sliders for {seconds} s"
    yield Figure(f"{words}: moves a second", moves / seconds, "/s")
    yield Figure(f"{words}: then a cell is answered after", waited, "s", 1)
    for name, first, last in zip(("kernel", "page's heap"), before, after, strict=True):
        yield Figure(f"{words}: growth of the {name}", last - first, "MB", 5)


def a_live_run(page: Page, server: Server, desk: Path, seconds: int) -> Iterator[Figure]:
    """A run's panel for a while: changes a second, long tasks, memory before and after."""
    write_notebook(desk / "b2.ipynb", [KERNEL, f"import workbench as wb\nrun = {TRAIN}\nrun"])
    page.open_notebook(server, "b2.ipynb")
    page.run_all()
    page.page.wait_for_selector(f"{RUN}[data-status=running]", timeout=60000)
    pid = int(page.page.get_by_text("pid ", exact=False).last.inner_text().split()[-1])
    page.page.wait_for_timeout(10000)
    page.page.evaluate(WATCH)
    before = kernel_mb(pid), heap_mb(page)
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        page.page.wait_for_timeout(1000)
    spent = time.monotonic() - began
    seen = page.page.evaluate("window.seenByBench")
    after = kernel_mb(pid), heap_mb(page)
    spent_in_tasks = processor_ms_of_tasks(page, lambda: page.page.wait_for_timeout(15_000))
    page.page.locator(RUN).get_by_role("button", name="Stop").click()
    page.page.wait_for_selector(f"{RUN}[data-status=cancelled]", timeout=60000)
    words = f"a run for {seconds} s"
    yield Figure(f"{words}: changes a second", seen["changes"] / spent, "/s", 10.5)
    yield Figure(f"{words}: tasks over 50 ms", len(seen["long"]), "", 0)
    yield Figure(f"{words}: longest of them", max([0, *seen["long"]]), "ms", 50)
    yield Figure("the same, processor time of the longest task", max(spent_in_tasks), "ms", 50)
    for name, first, last in zip(("kernel", "page's heap"), before, after, strict=True):
        yield Figure(f"{words}: memory of the {name} at its end", last, "MB")
        yield Figure(f"{words}: growth of the {name}", last - first, "MB")


def processor_ms_of_tasks(page: Page, work: Callable[[], object]) -> list[float]:
    """Processor time of each task of the page meanwhile: other programs do not make it longer."""
    browser = page.page.context.browser
    browser.start_tracing(page=page.page, categories=["toplevel"])
    work()
    events = json.loads(browser.stop_tracing())["traceEvents"]
    main = {
        (e["pid"], e["tid"])
        for e in events
        if e["name"] == "thread_name" and e["args"]["name"] == "CrRendererMain"
    }
    tasks = [e for e in events if e["ph"] == "X" and (e["pid"], e["tid"]) in main]
    return [task.get("tdur", 0) / 1000 for task in tasks if "RunTask" in task["name"]]


def kernel_mb(pid: int) -> float:
    """Resident memory of the kernel in MB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(x for x in status.splitlines() if x.startswith("VmRSS")).split()[1]) / 1000


def heap_mb(page: Page) -> float:
    """JavaScript heap of the page in MB, after a collection."""
    session = page.page.context.new_cdp_session(page.page)
    session.send("HeapProfiler.collectGarbage")
    used = session.send("Runtime.getHeapUsage")["usedSize"]
    session.detach()
    return float(used) / 1e6


def voila_cold(chromium: Any, desk: Path) -> Iterator[Figure]:
    """Seconds from asking for the page to its first point, `workbench dashboards` just started."""
    port = free_port()
    command = ["workbench.flow.cli.main", "dashboards", f"--port={port}", "--no-browser"]
    url = f"http://127.0.0.1:{port}/"
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    server = Server(command, desk, environment(desk), url, desk / "voila.log")
    try:
        server.wait("voila/static/favicon.ico")
        page = chromium.new_page()
        began = time.perf_counter()
        page.goto(server.url, wait_until="commit")
        first = time.perf_counter() - began
        page.locator("p.verdict").wait_for(timeout=120000)
        sentence = time.perf_counter() - began
        page.locator(POINT).first.wait_for(timeout=120000)
        widget = time.perf_counter() - began
    finally:
        server.stop()
    yield Figure("Voila, cold: page asked for → first byte", first, "s")
    yield Figure("Voila, cold: → sentence to be read", sentence, "s")
    yield Figure("Voila, cold: → first widget", widget, "s", 6)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime
    yield Figure("Voila: processor time of server and kernel", spent, "s")


def figures(desk: Path, seconds: int) -> Iterator[Figure]:
    """Measures everything, one thing after the other."""
    yield from first_messages(desk)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield from voila_cold(chromium, desk)
        server = start_lab(desk, free_port(), environment(desk))
        try:
            server.wait("api")
            page = Page(chromium.new_page(viewport={"width": 1500, "height": 1100}))
            yield from cell_to_panel(page, server, desk)
            yield from slider_to_paint(page, server, desk)
            yield from a_live_run(page, server, desk, seconds)
        finally:
            server.stop()
        chromium.close()


def say(figure: Figure) -> Figure:
    """Prints a figure beside its goal."""
    line = f"{figure.name:<52} {shown(figure.value):>8} {figure.unit:<3}"
    sys.stdout.write(f"{line} {figure.goal_text:>8}  {figure.verdict}".rstrip() + "\n")
    sys.stdout.flush()
    return figure


def main() -> int:
    """Prints every figure beside its goal; a missed goal is printed, it is no failure."""
    parser = argparse.ArgumentParser(prog="python -m tests.browser.bench", description=__doc__)
    parser.add_argument("--seconds", type=int, default=60, help="how long a run is watched")
    parser.add_argument("--full", action="store_true", help="ten minutes")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    parser.add_argument("--workspace", help="a workspace with a study; by default one is made")
    options = parser.parse_args()
    load = os.getloadavg()[0]
    sys.stdout.write(f"{usable_cores()} cores, load {load:.1f} before the start\n")
    with tempfile.TemporaryDirectory() as folder:
        desk = Path(folder)
        if options.workspace:
            shutil.copytree(options.workspace, desk / ".workbench")
        else:
            make_study(desk)
        found = [say(f) for f in figures(desk, 600 if options.full else options.seconds)]
    if options.json:
        rows = {"load_before": load, "figures": [figure.to_json() for figure in found]}
        options.json.write_text(json.dumps(rows, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
