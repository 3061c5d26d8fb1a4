"""What goes wrong in front of a screen: clicked twice, two notebooks, what cannot be read."""

from __future__ import annotations

import os

import pytest

from tests.browser.lab import Page, write_notebook
from workbench.store import open_store

OPEN = """import workbench as wb
from workbench.flow.verbs import default_workspace
study = wb.study(default_workspace().store.studies.all()[-1].ref)
"""
STUDY = "section[data-panel=study]"
DATA = "section[data-panel=dataset]"
TABLE = "\n".join(["size,kind", *(f"{i % 17},{'ab'[i % 2]}" for i in range(90))])


def set_slider(panel, knob: str, value: float) -> None:
    """Moves a slider and measures."""
    slider = panel.locator(f"input[data-knob='{knob}']")
    slider.evaluate("(n, v) => { n.value = v; n.dispatchEvent(new Event('input')); }", value)
    slider.press("Enter")


def banner(panel) -> str:
    found = panel.locator(".wb-banner:visible")
    found.wait_for()
    return found.inner_text()


@pytest.mark.full
def test_buttons_clicked_twice_do_it_once(lab, desk, page):
    store = open_store(desk / ".workbench")
    write_notebook(desk / "twice.ipynb", [f"{OPEN}wb.app()"])
    page.open_notebook(lab, "twice.ipynb")
    page.run_all()
    tabs = page.page.locator("[data-panel=app]")
    tabs.get_by_role("tab", name="Train").click()
    run = page.page.locator("section[data-panel=run]")
    run.get_by_label("Family", exact=True).select_option("linear")
    run.get_by_label("epochs", exact=False).first.fill("1")
    before = len(store.runs.list("train"))
    run.get_by_role("button", name="Train").dblclick()
    page.page.wait_for_selector("section[data-panel=run][data-status=succeeded]", timeout=60000)
    assert len(store.runs.list("train")) == before + 1

    tabs.get_by_role("tab", name="Compress").click()
    panel = page.page.locator(STUDY)
    panel.get_by_label("study", exact=True).select_option(store.studies.all()[-1].ref)
    panel.locator(".wb-dot[data-recipe='half:fp16']").click()
    panel.get_by_label("Model name").fill("clicked-twice")
    panel.get_by_role("button", name="Register").dblclick()
    panel.get_by_text("✓ model:clicked-twice@1").wait_for()
    panel.get_by_role("button", name="Promote").click()
    panel.get_by_role("button", name="Promote").dblclick()
    panel.get_by_text("champion", exact=True).wait_for()
    assert len(store.models.versions("clicked-twice")) == 1
    assert len(store.models.history("clicked-twice", "champion")) == 1
    panel.get_by_role("button", name="Serve").dblclick()
    endpoint = page.page.locator("section[data-panel=endpoint]")
    endpoint.get_by_role("button", name="Stop").wait_for(timeout=60000)
    serving = [e for e in store.audit.entries() if "clicked-twice" in str(e.subject)]
    assert [e.action for e in serving if e.action == "register"] == ["register"]
    assert endpoint.get_by_role("button", name="clicked-twice").count() == 0  # no second one runs
    endpoint.get_by_role("button", name="Stop").click()
    endpoint.get_by_role("button", name="Stop").dblclick()
    page.page.wait_for_selector("section[data-panel=endpoint][data-status=stopped]")
    assert page.errors() == []


@pytest.mark.full
def test_a_file_that_cannot_be_read_or_is_no_data_becomes_the_banner(lab, desk, page):
    secret = desk / "secret.csv"
    if os.geteuid():
        secret.write_text(TABLE)
        secret.chmod(0)
    else:
        secret.symlink_to("/proc/1/mem")  # not readable by root either
    pictures = desk / "pictures"
    for name in ("cats", "dogs"):
        (pictures / name).mkdir(parents=True)
        (pictures / name / "one.png").write_bytes(b"this is no picture")
    (desk / "torn.csv").write_bytes(b'size,kind\n1,"a\n2,b,c,d\n\x00\xff')
    (desk / "good.csv").write_text(TABLE)
    write_notebook(desk / "unreadable.ipynb", ["import workbench as wb\nwb.app('data')"])
    page.open_notebook(lab, "unreadable.ipynb")
    page.run_all()
    panel = page.page.locator(DATA)
    panel.locator("select[aria-label=Source]").select_option("table")
    panel.get_by_label("path").first.fill(str(secret))
    panel.get_by_label("target").first.fill("kind")
    panel.get_by_role("button", name="Load", exact=True).click()
    assert "secret.csv" in banner(panel)
    page.shot("data-unreadable", DATA)
    panel.get_by_role("button", name="Retry").click()
    assert "secret.csv" in banner(panel)
    panel.get_by_role("button", name="Dismiss").click()

    panel.get_by_label("A table").set_input_files(str(desk / "torn.csv"))
    panel.locator("select[aria-label=target]").wait_for()
    panel.get_by_role("button", name="Load", exact=True).click()
    banner(panel)
    panel.get_by_label("A folder of clips or pictures").set_input_files(str(pictures))
    panel.get_by_text("one folder for each class").first.wait_for()
    panel.get_by_role("button", name="Load", exact=True).click()
    panel.get_by_text("one.png").first.wait_for()
    page.shot("data-broken-pictures", DATA)

    panel.get_by_label("A table").set_input_files(str(desk / "good.csv"))
    panel.locator("select[aria-label=target]").wait_for()
    split = panel.locator("[data-split]")
    split.focus()
    page.page.keyboard.press("ArrowLeft")
    panel.get_by_role("button", name="Load", exact=True).click()
    panel.get_by_text("Dataset good").wait_for()
    assert "split=(0.68, 0.16, 0.16)" in panel.locator(".wb-line").inner_text()
    assert page.errors() == []


@pytest.mark.full
def test_two_notebooks_on_one_workspace_see_each_others_work(lab, desk, page):
    other = Page(page.page.context.new_page())
    for shown, name in ((page, "first"), (other, "second")):
        write_notebook(desk / f"{name}.ipynb", [f"{OPEN}study"])
        shown.open_notebook(lab, f"{name}.ipynb")
        shown.run_all()
        shown.page.locator(f"{STUDY} .wb-dot").first.wait_for()
    for shown, amount in ((page, 0.21), (other, 0.22)):
        set_slider(shown.page.locator(STUDY), "prune.amount", amount)
    for shown in (page, other):
        for recipe in ("prune:0.21", "prune:0.22"):
            dot = shown.page.locator(f"{STUDY} .wb-dot[data-recipe='{recipe}']")
            dot.wait_for(state="attached", timeout=90000)
    for shown in (page, other):
        shown.page.locator(f"{STUDY} .wb-dot[data-recipe='prune:0.21']").click(force=True)
        shown.page.locator(STUDY).get_by_label("Model name").fill("from-both")
    for shown in (page, other):
        shown.page.locator(STUDY).get_by_role("button", name="Register").click()
    for shown in (page, other):
        shown.page.locator(STUDY).get_by_text("✓ model:from-both@").wait_for()
    versions = open_store(desk / ".workbench").models.versions("from-both")
    assert [v.number for v in versions] == [1]  # the same bytes are the same version
    assert page.errors() == other.errors() == []
    other.leave()


@pytest.mark.full
def test_a_second_wish_cancels_the_first_and_a_layer_gets_its_own_knob(lab, desk, page):
    write_notebook(desk / "wishes.ipynb", [f"{OPEN}study"])
    page.open_notebook(lab, "wishes.ipynb")
    page.run_all()
    panel = page.page.locator(STUDY)
    panel.locator(".wb-dot").first.wait_for()
    knob = panel.locator("input[data-knob='prune_structured.amount']")
    knob.evaluate("n => { n.value = 0.47; n.dispatchEvent(new Event('input')); }")
    estimate = panel.locator(".wb-estimate[data-for^='prune_structured']")
    estimate.wait_for()
    assert "needs training" in estimate.text_content()
    knob.press("Enter")
    page.page.wait_for_selector(f"{STUDY}[data-measuring^='prune_structured']")
    panel.locator("input[data-method=prune_structured]").uncheck()
    set_slider(panel, "prune.amount", 0.44)
    page.page.wait_for_selector(f"{STUDY}[data-measuring^='prune:']", timeout=60000)
    page.page.wait_for_selector(f"{STUDY}[data-measuring='']", timeout=90000)
    assert panel.locator(".wb-dot[data-recipe^='prune:']").count() >= 1
    assert panel.locator(".wb-dot[data-recipe='prune_structured:0.47']").count() == 0

    layer = panel.locator(".wb-layer").first
    layer.wait_for(timeout=90000)
    name = layer.get_attribute("data-layer")
    layer.click()
    panel.get_by_label(f"leave {name} as it is").check()
    panel.locator(".wb-estimate[data-for^='{']").wait_for()
    page.shot("study-own-layer", STUDY)
    panel.get_by_role("button", name="Measure").click()
    mapped = panel.locator(f".wb-dot[data-recipe*='{name}']")
    mapped.wait_for(state="attached", timeout=90000)
    panel.locator(".wb-line", has_text="study.measure({").wait_for()
    assert page.errors() == []


@pytest.mark.full
def test_the_explorer_is_walked_by_keyboard_alone(lab, desk, page):
    write_notebook(desk / "keys.ipynb", [f"{OPEN}study"])
    page.open_notebook(lab, "keys.ipynb")
    page.run_all()
    panel = page.page.locator(STUDY)
    panel.locator(".wb-dot").first.wait_for()
    keyboard, cells = page.page.keyboard, page.page.locator(".jp-Cell").count()
    panel.focus()
    keyboard.press("?")
    panel.get_by_text("this list").wait_for()
    keyboard.press("Escape")
    panel.get_by_text("this list").wait_for(state="hidden")
    seen = tab_to(page, "[data-knob='clip.at']")
    assert "Largest drop" in seen
    keyboard.press("ArrowLeft")
    panel.locator(".wb-estimate[data-for^='clip:']").wait_for()
    keyboard.press("Enter")
    page.page.wait_for_selector(f"{STUDY}[data-measuring^='clip:']")
    keyboard.press("Escape")
    page.page.wait_for_selector(f"{STUDY}[data-measuring='']", timeout=60000)
    tab_to(page, ".wb-dot")
    keyboard.press("Enter")
    panel.locator(".wb-dot[aria-pressed=true]").wait_for()
    tab_to(page, "input[aria-label='Model name']")
    keyboard.type("abc")  # letters stay in the field: Lab's own shortcuts do not see them
    tab_to(page, "[data-do=register]")
    assert page.page.locator(".jp-Cell").count() == cells
    assert page.errors() == []


def tab_to(page, selector: str, most: int = 80) -> list[str]:
    """Presses Tab until the focus is there; returns the names passed on the way."""
    names = []
    for _ in range(most):
        page.page.keyboard.press("Tab")
        at = "document.activeElement"
        names.append(page.page.evaluate(f"{at}.getAttribute('aria-label') || {at}.textContent"))
        if page.page.evaluate(f"{at}.matches({selector!r})"):
            return names
    raise AssertionError(f"{selector} was not reached by Tab: {names}")
