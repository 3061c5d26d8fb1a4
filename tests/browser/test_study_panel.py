"""The explorer in JupyterLab: a slider is moved, the variant measured, registered and served."""

from __future__ import annotations

from tests.browser.lab import write_notebook

CELL = """import workbench as wb
from workbench.flow.verbs import default_workspace
study = wb.study(default_workspace().store.studies.all()[-1].ref)
study"""


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
    panel.locator(".wb-estimate").wait_for(state="attached")
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
