"""Static twins: every record is a small self-contained card with a picture."""

from __future__ import annotations

import pytest

from workbench.core.shown import PANELS

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
    assert "◆ baseline" in html


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
