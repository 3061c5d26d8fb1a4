"""The explorer in JupyterLab: a slider is moved, the variant measured, registered and served."""

from __future__ import annotations

import os
import re
import signal
import time

import pytest

from tests.browser.lab import write_notebook

CELL = """import workbench as wb
from workbench.flow.verbs import default_workspace
study = wb.study(default_workspace().store.studies.all()[-1].ref)
study"""


FILLED = """() => {
    const held = document.querySelector("section[data-panel=study][data-computes] [data-held]");
    return held?.textContent.startsWith("band") && !held.textContent.includes("being filled");
}"""


def test_a_slider_is_moved_and_the_variant_measured_registered_served(lab, desk, page):
    write_notebook(desk / "study.ipynb", [CELL])
    page.open_notebook(lab, "study.ipynb")
    page.run_all()
    panel = page.page.locator("section[data-panel=study]")
    panel.locator(".wb-dot").first.wait_for()
    page.shot("study-light-1200", "section[data-panel=study]")
    before = panel.locator(".wb-dot").count()

    knob = panel.locator("input[data-knob='prune.amount']")
    knob.focus()
    page.page.keyboard.press("ArrowRight")
    panel.locator(".wb-estimate[data-for^='prune:']").wait_for()
    assert re.search(r"≈ [\d.]+ % \([\d.]+–[\d.]+\)", panel.locator(".wb-estimate").text_content())
    assert panel.locator("[data-held]").inner_text().startswith("band holds: ")
    page.shot("study-estimate-light-1200", "section[data-panel=study]")
    page.page.keyboard.press("Enter")
    page.page.wait_for_function(
        f"document.querySelectorAll('section[data-panel=study] .wb-dot').length > {before}",
        timeout=60000,
    )
    assert "study.measure(" in panel.locator(".wb-line").inner_text()

    panel.get_by_label("Model name").fill("digits-browser")
    panel.get_by_role("button", name="Register").click()
    panel.get_by_text("✓ model:digits-browser@1").wait_for()
    panel.get_by_role("button", name="Serve").click()
    panel.get_by_text("✓ served").wait_for(timeout=60000)
    page.shot("study-served-light-1200", "section[data-panel=study]")
    page.theme(dark=True)
    page.shot("study-dark-1200", "section[data-panel=study]")
    page.page.set_viewport_size({"width": 1000, "height": 1000})
    page.shot("study-dark-narrow", "section[data-panel=study]")
    assert page.errors() == []


@pytest.mark.full
def test_letting_go_of_a_slider_measures_and_a_dot_tells_its_figures(lab, desk, page):
    write_notebook(desk / "drag.ipynb", [CELL])
    page.open_notebook(lab, "drag.ipynb")
    page.run_all()
    panel = page.page.locator("section[data-panel=study]")
    panel.locator(".wb-dot").first.wait_for()
    knob = panel.locator("input[data-knob='clip.at']")
    knob.scroll_into_view_if_needed()
    box = knob.bounding_box()
    page.page.mouse.move(box["x"] + box["width"] - 4, box["y"] + box["height"] / 2)
    page.page.mouse.down()
    page.page.mouse.move(box["x"] + box["width"] * 0.9, box["y"] + box["height"] / 2, steps=4)
    panel.locator(".wb-estimate[data-for^='clip:']").wait_for()
    assert "provisional" in panel.locator(".wb-estimate").text_content()
    page.page.mouse.up()
    page.page.wait_for_selector("section[data-panel=study][data-measuring^='clip:']")
    page.page.wait_for_selector("section[data-panel=study][data-measuring='']", timeout=60000)
    dot = panel.locator(".wb-dot[aria-pressed=true]")
    assert dot.get_attribute("data-recipe").startswith("clip:")
    baseline = panel.locator(".wb-dot[data-recipe=baseline]")
    baseline.focus()
    page.page.keyboard.press("Enter")
    panel.get_by_text("This is the model itself.").wait_for()
    assert page.errors() == []


def test_estimates_follow_the_slider_while_the_kernel_does_not_answer(lab, desk, page):
    pid = desk / "kernel.pid"
    tell = f"import os, pathlib\npathlib.Path({str(pid)!r}).write_text(str(os.getpid()))\n"
    write_notebook(desk / "busy.ipynb", [tell + CELL])
    page.open_notebook(lab, "busy.ipynb")
    page.run_all()
    panel = page.page.locator("section[data-panel=study]")
    page.page.wait_for_function(FILLED, timeout=90000)
    os.kill(int(pid.read_text()), signal.SIGSTOP)
    try:
        knob = panel.locator("input[data-knob='prune.amount']")
        knob.focus()
        for key in ("Home", "ArrowRight", *["Shift+ArrowRight"] * 3):
            page.page.keyboard.press(key)
        estimate = panel.locator(f".wb-estimate[data-for='prune:{knob.input_value()}']")
        estimate.wait_for()
        assert re.search(r"≈ [\d.]+ % \([\d.]+–[\d.]+\)", estimate.text_content())
    finally:
        os.kill(int(pid.read_text()), signal.SIGCONT)
    assert page.errors() == []


MOVES = """async () => {
    const knob = document.querySelector("input[data-knob='prune.amount']"), covered = [];
    for (let i = 0; i < 60; i += 1) {
        knob.value = 0.05 + 0.015 * i;
        knob.dispatchEvent(new Event("input", { bubbles: true }));
        await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
        const words = [...document.querySelectorAll(".wb-estimate text")];
        const boxes = words.map((word) => word.getBoundingClientRect());
        for (const dot of document.querySelectorAll(".wb-dot > :is(path, circle)")) {
            const d = dot.getBoundingClientRect(), x = d.x + d.width / 2, y = d.y + d.height / 2;
            const covers = (b) => x > b.left && x < b.right && y > b.top && y < b.bottom;
            if (boxes.some(covers)) covered.push(knob.value);
        }
    }
    return [covered, knob.value];
}"""
KNOBS = """from workbench.widgets.live.study import show_study
print("the kernel knows", show_study(study).knobs["prune"]["amount"])"""


@pytest.mark.full
def test_while_a_slider_moves_the_kernel_is_left_alone_and_no_point_is_covered(lab, desk, page):
    told = []
    page.page.on("websocket", lambda ws: ws.on("framesent", lambda f: told.append(str(f))))
    write_notebook(desk / "moves.ipynb", [CELL, KNOBS])
    page.open_notebook(lab, "moves.ipynb")
    page.command("notebook:run-cell-and-select-next")
    page.page.wait_for_function(FILLED, timeout=90000)
    page.kernel_idle()
    before = len([f for f in told if "comm_msg" in f])
    covered, at = page.page.evaluate(MOVES)
    assert covered == []
    messages = len([f for f in told if "comm_msg" in f]) - before
    assert messages < 10, "one move, one message: JupyterLab repaints itself for each"
    panel = page.page.locator("section[data-panel=study]")
    panel.locator(f".wb-estimate[data-for='prune:{at}']").wait_for()
    end = time.monotonic() + 30
    while not any('"knobs"' in f and f'"amount":{at}' in f for f in told):
        assert time.monotonic() < end
        page.page.wait_for_timeout(50)
    page.command("notebook:run-cell-and-select-next")
    page.page.get_by_text(f"the kernel knows {at}").wait_for()
    assert page.errors() == []


FRAGILE = """import workbench as wb
data = wb.load("digits")
run = wb.train(data, family="mlp", hidden=[12] * 6, epochs=25, seed=0).wait()
study = wb.study(run, data)
study"""


@pytest.mark.full
def test_a_network_that_pruning_by_half_ruins_is_shown_as_ruined(lab, desk, page):
    write_notebook(desk / "fragile.ipynb", [FRAGILE])
    page.open_notebook(lab, "fragile.ipynb")
    page.run_all()
    panel = page.page.locator("section[data-panel=study]")
    panel.locator(".wb-dot").first.wait_for(timeout=120000)
    panel.locator("[data-held]").get_by_text("band").wait_for(timeout=60000)
    knob = panel.locator("input[data-knob='prune.amount']")
    knob.evaluate("e => { e.value = 0.5; e.dispatchEvent(new Event('input', {bubbles: true})); }")
    hollow = panel.locator(".wb-estimate[data-for^='prune:0.5']")
    hollow.wait_for(timeout=60000)
    low, high = map(float, re.search(r"\(([\d.]+)–([\d.]+)\)", hollow.text_content()).groups())
    assert "provisional" in hollow.text_content()
    knob.focus()
    page.page.keyboard.press("Enter")
    ruined = panel.locator(".wb-dot[data-recipe='prune:0.5']")
    ruined.wait_for(timeout=60000)
    words = ruined.get_attribute("aria-label")
    score = float(re.search(r"accuracy ([\d.]+) %", words)[1])
    assert low <= score <= high, "the band held"
    assert "outside the budget" in words
    assert float(re.search(r"\(−([\d.]+) ", words)[1]) > 15, "points lost"
    assert "baseline" in panel.locator(".wb-verdict").inner_text()
    assert re.match(r"−[\d.]+ pt", panel.locator(".wb-sentence").last.inner_text())
    page.shot("study-ruined", "section[data-panel=study]")
    assert page.errors() == []
