"""Static twins: every record is a small self-contained card with a picture."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from workbench.core.shown import PANELS
from workbench.widgets import cards, dataset_cards, served_cards, study_cards

RECORDS = ("data", "run", "study", "version")


@pytest.mark.parametrize("name", RECORDS)
def test_a_record_is_a_small_card_with_a_picture(road, name):
    record = getattr(road, name)
    html = record._repr_html_()
    assert record.ref in html
    assert "<svg" in html
    assert len(html) < 100_000
    assert "<script" not in html
    assert "http" not in html.replace("http://www.w3.org", "")


def test_a_study_card_says_what_is_recommended(road):
    html = road.study._repr_html_()
    assert "Recommended: half:fp16" in html
    assert "diamond = baseline" in html


def test_a_variant_is_a_card_with_its_interval(road):
    html = road.study.measure("half:fp16")._repr_html_()
    assert "pt" in html
    assert "kB" in html


def test_without_a_kernel_no_widget_is_made(road):
    bundle = road.run._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "text/html"}


def test_each_kind_of_record_has_its_panel():
    assert {"dataset", "run", "study", "variant", "version", "endpoint"} <= set(PANELS)


def test_a_card_that_cannot_be_made_says_why(road, monkeypatch):
    run = road.workspace.run(road.run.ref)
    monkeypatch.setattr(run, "id", "m000000000000", raising=False)
    assert "No run" in run._repr_mimebundle_()["text/html"]


def test_the_pictures_are_also_one_small_png(road):
    made = [
        dataset_cards.dataset_card(road.data),
        cards.run_card(road.run),
        study_cards.study_card(road.study),
        study_cards.variant_card(road.study.measure("half:fp16")),
        served_cards.version_card(road.version),
    ]
    for card in made:
        png, width = card.png()
        with Image.open(io.BytesIO(png)) as image:
            assert image.width == 2 * width
            assert len(image.convert("RGB").getcolors(10**7)) > 3, card.title
        assert len(png) < 100_000, card.title
        assert "<svg" not in card.html(has_pictures=False)


def test_outside_of_a_notebook_a_record_is_text(road):
    for record in (road.data, road.run, road.study, road.version):
        with pytest.raises(NotImplementedError):
            record._ipython_display_()
