"""Dataset, version and endpoint in JupyterLab."""

from __future__ import annotations

import pytest

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
        desk / "endpoint.ipynb",
        ["import workbench as wb\nwb.serve('model:digits-cnn@1', keep_payloads=1.0, grpc_port=0)"],
    )
    page.open_notebook(lab, "endpoint.ipynb")
    page.run_all()
    panel = page.page.locator("section[data-panel=endpoint]")
    panel.get_by_role("button", name="A sample of the validation data").click(timeout=60000)
    panel.locator("[data-answer]").wait_for()
    panel.get_by_role("button", name="Replay").click()
    panel.get_by_role("button", name="the same here").wait_for()
    assert ".replay(" in panel.locator(".wb-line").inner_text()
    panel.get_by_role("radio", name="gRPC").click()
    assert 'InferInput("input", [1, 1, 8, 8], "FP32")' in panel.get_by_label("Snippet").inner_text()
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


SHARED = """import workbench as wb
from workbench.flow.verbs import default_workspace
study = wb.study(default_workspace().store.studies.all()[-1].ref)
wb.register(study.measure("half:fp16"), "digits-shared")
wb.promote("digits-shared", 1)
wb.register(study.measure("prune:0.6"), "digits-shared")
wb.serve("model:digits-shared@champion")"""


@pytest.mark.full
def test_requests_are_shared_out_and_tokens_given_and_taken(lab, desk, page):
    write_notebook(desk / "traffic.ipynb", [SHARED])
    page.open_notebook(lab, "traffic.ipynb")
    page.run_all()
    panel = page.page.locator("section[data-panel=endpoint]")
    second = panel.get_by_label("Share of version 2")
    second.wait_for(timeout=90000)
    for slider, share in ((panel.get_by_label("Share of version 1"), 60), (second, 40)):
        slider.evaluate(f"e => {{ e.value = {share}; e.dispatchEvent(new Event('input')); }}")
    panel.get_by_label("Largest share of errors in %").fill("5")
    panel.get_by_role("button", name="Apply").click()
    answers = panel.get_by_role("group", name="Answers by version")
    answers.get_by_text("40 %").wait_for()
    assert ".traffic({'2': 40, 'champion': 60}" in panel.locator(".wb-line").inner_text()
    for _ in range(12):
        panel.get_by_role("button", name="A sample of the validation data").click()
        page.page.wait_for_selector("section[data-panel=endpoint][data-busy='']")
    counted = "[...document.querySelectorAll('[aria-label=\"Answers by version\"] tbody tr')]"
    page.page.wait_for_function(f"{counted}.every((r) => r.cells[2].textContent !== '0')")
    panel.locator("summary", has_text="add").click()
    panel.get_by_label("Token name").fill("nightly")
    panel.get_by_label("Most requests a second").fill("5")
    panel.get_by_role("button", name="Add and copy it").click()
    given = panel.locator(".wb-facts", has_text="nightly").last
    given.get_by_text("predict · until").wait_for()
    assert "rate 5" in given.inner_text()
    page.shot("endpoint-traffic", "section[data-panel=endpoint]")
    given.get_by_role("button", name="Revoke").click()
    given.get_by_role("button", name="Revoke").click()
    panel.locator(".wb-facts", has_text="nightly").wait_for(state="detached")
    panel.get_by_role("button", name="All to the first").click()
    answers.wait_for(state="detached")
    panel.get_by_role("button", name="Stop").click()
    panel.get_by_role("button", name="Stop").click()
    page.page.wait_for_selector("section[data-panel=endpoint][data-status=stopped]")
    assert page.errors() == []


@pytest.mark.full
def test_series_and_targets_at_places_are_shown(lab, desk, page):
    made = (
        "import numpy as np, workbench as wb\nfrom sklearn.datasets import load_digits\n"
        "x = load_digits().images.astype('float32')[:200]\n"
        "t = np.sin(np.arange(64) * np.linspace(.2, .9, 200)[:, None, None] + [[0], [2]])\n"
    )
    cells = [
        made + "wb.load('arrays', inputs=t, targets=np.arange(200) // 100, modality='series')",
        "wb.load('arrays', inputs=x, targets=(x > 8).astype(int), task='dense', labels=('a', 'b'))",
        "wb.load('arrays', inputs=x, targets=[['dark'] * (k % 2) + ['wide'] * (k % 3 > 0) "
        "for k in range(200)])",
    ]
    write_notebook(desk / "sorts.ipynb", cells)
    page.open_notebook(lab, "sorts.ipynb")
    page.run_all()
    panels = page.page.locator("section[data-panel=dataset]")
    for number, words in enumerate(("series, 2×64", "2 labels", "dark")):
        panel = panels.nth(number)
        panel.locator(".wb-tile").first.wait_for()
        assert words in panel.inner_text()
    page.shot("dataset-sorts-light", ".jp-NotebookPanel")
    assert page.errors() == []
