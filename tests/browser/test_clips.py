"""Clips of sound: heard in the console of an endpoint, and in the panel of a dataset."""

from __future__ import annotations

import pytest

from tests.browser.lab import write_notebook
from tests.unit.data.sounds import clip_folder, sound, tone
from workbench.flow.workspace import Workspace

pytestmark = pytest.mark.full
_LASTS = "document.querySelector('audio')?.duration > 0.2"


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    space = Workspace(folder / ".workbench", inline=True)
    data = space.load(clip_folder(folder / "sounds"))
    run = space.train(data, "linear", epochs=1, threads=1)
    endpoint = space.serve(space.register(run, "sounds"))
    yield endpoint
    endpoint.stop()


def test_the_console_plays_a_clip_and_shows_the_answer(browser, endpoint):
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(15000)
    page, wrong = context.new_page(), []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda said: said.type == "error" and wrong.append(said.text))
    page.goto(endpoint.url)
    page.get_by_label("Token").fill(endpoint.token)
    page.get_by_role("button", name="Connect").click()
    page.get_by_text("Drop a clip here").wait_for()
    assert "@clip.wav" in page.locator("#shell").inner_text()
    clip = {"name": "a.wav", "mimeType": "audio/wav", "buffer": sound(tone(600, 8000, 0.4), 8000)}
    page.locator("input[type=file]").set_input_files(clip)
    page.locator("#answers .big").wait_for()
    page.wait_for_function(_LASTS)
    assert page.locator("#answers").get_by_role("rowheader").count() == 3
    text = {"name": "b.wav", "mimeType": "audio/wav", "buffer": b"only text"}
    page.locator("input[type=file]").set_input_files(text)
    page.get_by_role("alert").get_by_text("a text is not opened").wait_for()
    assert [words for words in wrong if "422" not in words] == []
    context.close()


def test_the_panel_plays_the_clip_that_is_chosen(lab, desk, page):
    clip_folder(desk / "sounds")
    write_notebook(desk / "clips.ipynb", ["import workbench as wb\nwb.load('sounds')"])
    page.open_notebook(lab, "clips.ipynb")
    page.run_all()
    panel = page.page.locator("section[data-panel=dataset]")
    panel.locator(".wb-tile").nth(1).click()
    panel.locator("audio").wait_for()
    page.page.wait_for_function(_LASTS)
    page.shot("dataset-clips-light", "section[data-panel=dataset]")
    assert page.errors() == []
