"""Dataset, version and endpoint in JupyterLab."""

from __future__ import annotations

from tests.browser.lab import write_notebook


def test_a_dataset_shows_samples_and_augmentation(lab, desk, page):
    write_notebook(desk / "data.ipynb", ["import workbench as wb\nwb.load('digits')"])
    page.open_notebook(lab, "data.ipynb")
    page.run_all()
    panel = page.page.locator("section[data-panel=dataset]")
    panel.locator(".wb-tile").first.wait_for()
    panel.get_by_label("Augmentation").fill("shift:1 + rotate:15")
    page.page.keyboard.press("Enter")
    panel.get_by_label("after, 3").wait_for()
    page.shot("dataset-light", "section[data-panel=dataset]")
    panel.get_by_label("Augmentation").fill("shfit:1")
    page.page.keyboard.press("Enter")
    panel.locator(".wb-banner:visible").wait_for()
    assert "shift" in panel.locator(".wb-banner:visible").inner_text()
    page.shot("dataset-error-light", "section[data-panel=dataset]")
    assert page.errors() == []


def test_a_version_is_promoted_rolled_back_and_verified(lab, desk, page):
    cell = (
        "import workbench as wb\nv = wb.version('model:digits-cnn@1')\n"
        "from workbench.flow.verbs import default_workspace\n"
        "s = wb.study(default_workspace().store.studies.all()[0].ref)\n"
        "wb.register(s.measure('half:fp16'), 'digits-cnn')"
    )
    write_notebook(desk / "version.ipynb", [cell])
    page.open_notebook(lab, "version.ipynb")
    page.run_all()
    panel = page.page.locator("section[data-panel=version]")
    panel.get_by_role("button", name="Promote").wait_for()
    panel.get_by_role("button", name="Promote").click()
    page.shot("version-question-light", "section[data-panel=version]")
    panel.get_by_text("from version 1 to 2?").wait_for()
    panel.get_by_role("button", name="Promote").click()
    panel.get_by_text("moved from version 1 to version 2").wait_for()
    panel.get_by_role("button", name="Roll back champion").click()
    panel.get_by_role("button", name="Roll back champion").click()
    panel.get_by_text("went back from version 2 to 1").first.wait_for()
    panel.get_by_role("button", name="Verify", exact=True).click()
    panel.get_by_text("signature are what was registered").wait_for()
    page.shot("version-light", "section[data-panel=version]")
    page.theme(dark=True)
    page.shot("version-dark", "section[data-panel=version]")
    assert page.errors() == []


def test_an_endpoint_answers_and_is_stopped(lab, desk, page):
    write_notebook(
        desk / "endpoint.ipynb", ["import workbench as wb\nwb.serve('model:digits-cnn@1')"]
    )
    page.open_notebook(lab, "endpoint.ipynb")
    page.run_all()
    panel = page.page.locator("section[data-panel=endpoint]")
    panel.get_by_role("button", name="A sample of the validation data").click(timeout=60000)
    panel.locator("[data-answer]").wait_for()
    page.shot("endpoint-light", "section[data-panel=endpoint]")
    (desk / "broken.png").write_bytes(b"this is no picture")
    panel.locator("input[type=file]").set_input_files(str(desk / "broken.png"))
    panel.locator(".wb-banner:visible").wait_for()
    assert "picture" in panel.locator(".wb-banner:visible").inner_text()
    page.theme(dark=True)
    page.shot("endpoint-dark", "section[data-panel=endpoint]")
    panel.get_by_role("button", name="Stop").click()
    panel.get_by_role("button", name="Stop").click()
    page.page.wait_for_selector("section[data-panel=endpoint][data-status=stopped]")
    assert page.errors() == []
