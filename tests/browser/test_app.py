"""The whole road on one page: data, train, compress, models, serve."""

from __future__ import annotations

from tests.browser.lab import write_notebook


def test_the_road_on_one_page(lab, desk, page):
    write_notebook(desk / "app.ipynb", ["import workbench as wb\nwb.app()"])
    page.open_notebook(lab, "app.ipynb")
    page.theme(dark=False)
    page.command("application:toggle-left-area")
    page.run_all()
    tabs = page.page.locator("[data-panel=app]")
    tabs.get_by_role("tab", name="Data").wait_for()
    page.page.locator("section[data-panel=dataset] .wb-tile").first.wait_for()
    page.shot("app-data")
    tabs.get_by_role("tab", name="Train").click()
    run = page.page.locator("section[data-panel=run]")
    run.get_by_label("Family", exact=True).select_option("mlp")
    run.get_by_label("epochs", exact=False).first.fill("2")
    run.get_by_role("button", name="Train").click()
    page.page.wait_for_selector("section[data-panel=run][data-status=running]", timeout=60000)
    page.shot("app-train")
    page.page.wait_for_selector("section[data-panel=run][data-status=succeeded]", timeout=60000)
    run.get_by_role("button", name="Compress this model").click()
    study = page.page.locator("section[data-panel=study]")
    study.locator(".wb-dot").first.wait_for(timeout=90000)
    assert study.locator(".wb-dot").count() == 1
    page.shot("app-compress")
    tabs.get_by_role("tab", name="Models").click()
    page.page.locator("section[data-panel=version]").wait_for()
    page.shot("app-models")
    tabs.get_by_role("tab", name="Serve").click()
    page.page.locator("section[data-panel=endpoint]").wait_for()
    page.shot("app-serve")
    assert page.errors() == []
    # a kernel that was restarted has the page back where it was
    tabs.get_by_role("tab", name="Models").click()
    page.page.locator("section[data-panel=version]").wait_for()
    page.restart_kernel()
    page.page.wait_for_selector("section[data-panel=version][data-gone]")
    page.kernel_idle()
    page.page.get_by_role("button", name="Re-attach").click()
    page.page.wait_for_selector("section[data-panel=version]:not([data-gone])", timeout=60000)
    assert tabs.get_by_role("tab", name="Models").get_attribute("aria-selected") == "true"
    tabs.get_by_role("tab", name="Train").click()
    run.get_by_label("Family", exact=True).wait_for()
    assert page.errors() == []
