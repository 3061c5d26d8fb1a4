"""Clips in the panels: spectrograms as tiles, a sound on request that no notebook keeps."""

from __future__ import annotations

import base64
import io
import json

import pytest
from PIL import Image

from tests.unit.data.sounds import clip_folder, soundfile
from tests.unit.widgets.node import in_node
from workbench.flow.workspace import Workspace
from workbench.screens import uploads
from workbench.screens.dataset import DatasetScreen
from workbench.widgets.dataset_cards import dataset_card

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
ID = "0123456789abcdef"


@pytest.fixture(scope="module")
def space(tmp_path_factory):
    return Workspace(tmp_path_factory.mktemp("clips") / ".workbench", inline=True)


@pytest.fixture(scope="module")
def data(space, tmp_path_factory):
    return space.load(clip_folder(tmp_path_factory.mktemp("clips") / "声音"))


def test_tiles_are_spectrograms_and_the_first_message_is_small(space, data):
    panel = DatasetScreen(space, data)
    assert panel.facts["plays"] == "audio/wav"
    assert panel.gallery["png"].startswith("data:image/png")
    assert panel.gallery["height"] == 40
    assert panel.facts["augments"] == []
    panel.do_look_at("train", None, "suspicion")
    assert panel.gallery["order"] == "suspicion"
    state = json.dumps(panel.state())
    assert len(state) < 100_000
    assert "audio/wav;base64" not in state


def test_a_sample_is_sent_on_request_and_not_kept(space, data):
    panel = DatasetScreen(space, data)
    sample = panel.do("play", {"part": "val", "index": 1})["reply"]["sample"]
    assert (sample["part"], sample["index"], sample["type"]) == ("val", 1, "audio/wav")
    content = base64.b64decode(sample["media"].partition(",")[2])
    samples, rate = soundfile.read(io.BytesIO(content))
    assert rate == data.preprocessing.sample_rate
    assert 0.2 < len(samples) / rate <= data.preprocessing.seconds + 0.01
    assert "audio/wav;base64" not in json.dumps(panel.state())
    for part, index, words in (("val", 999, "no number 999"), ("secret", 0, "no part")):
        assert words in panel.do("play", {"part": part, "index": index})["error"]["message"]


def test_a_read_only_page_may_listen(space, data):
    panel = DatasetScreen(space, data, is_readonly=True)
    assert "play" in panel.commands
    assert "load" not in panel.commands


def test_pictures_are_not_played(road):
    panel = DatasetScreen(road.workspace, road.data)
    assert panel.facts["plays"] == ""
    assert "media" not in panel.do("play", {"part": "val", "index": 0})["reply"]["sample"]


def test_the_card_shows_clips(data):
    html = dataset_card(data).html()
    assert "clips" in html
    assert "0 Hz, 40 bands" in html


def test_a_folder_of_clips_is_uploaded(space, tmp_path):
    files = [["声音/a/1.wav", 3], ["声音/b/2.FLAC", 4], ["声音/cover.txt", 5]]
    upload = uploads.begin(tmp_path, ID, files)
    assert upload.skipped == ("声音/cover.txt",)
    for path, size in files[:2]:
        upload.take(path, 0, b"x" * size)
    assert upload.found()["source"] == "folder"
    form = DatasetScreen(space, has_form=True).form
    assert form["files"] == "clips or pictures"
    assert "folder" in {source["key"] for source in form["sources"]}


def test_the_source_that_was_chosen_is_the_one_that_loads(space, tmp_path):
    panel = DatasetScreen(space, has_form=True)
    clips = clip_folder(tmp_path / "sounds")
    panel.do_load("folder", {"path": str(clips), "modality": "audio"})
    assert panel.facts["modality"] == "audio"
    assert panel.code == f"wb.load({str(clips)!r}, modality='audio')"
    for index in range(30):
        folder = tmp_path / "pictures" / "ab"[index % 2]
        folder.mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 8), index).save(folder / f"{index}.png")
    panel.do_load("folder", {"path": str(tmp_path / "pictures"), "modality": "image"})
    assert panel.facts["modality"] == "image"
    knobs = next(one for one in panel.form["sources"] if one["key"] == "folder")["knobs"]
    assert "options" not in {knob["name"] for knob in knobs}


_PAGE = """
class Node {
  constructor(tag) { this.tag = tag; this.attributes = {}; }
  setAttribute(name, value) { this.attributes[name] = value; }
  addEventListener() {}
  append() {}
}
globalThis.document = { createElement: (tag) => new Node(tag) };
"""


def test_a_page_plays_what_its_media_type_says():
    for kind, tag in (
        ("audio/wav", "audio"),
        ("video/mp4", "video"),
        ("image/png", None),
        ("", None),
    ):
        shown = in_node(
            "base", _PAGE, f"playerOf({{ type: '{kind}', media: 'data:x', name: 'n' }})"
        )
        assert (shown and shown["tag"]) == tag
        if tag:
            assert shown["attributes"]["src"] == "data:x"
            assert shown["attributes"]["aria-label"] == "play n"
