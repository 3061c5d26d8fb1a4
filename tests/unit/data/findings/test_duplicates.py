from __future__ import annotations

import numpy as np
from PIL import Image

from workbench.data.findings.duplicates import find_duplicates
from workbench.data.sketches import image_sketch, row_sketch


def codes_of(count):
    return (np.arange(count) % 3).astype(np.int8)


def smooth(count, seed=0):
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 255, (count, 6, 6), np.uint8)
    sized = [Image.fromarray(c).resize((32, 32), Image.Resampling.BICUBIC) for c in coarse]
    return np.stack([np.asarray(picture) for picture in sized])[:, None]


def test_exact_and_near_copies_of_pictures_are_found_and_others_are_not():
    pictures = smooth(300)
    pictures[100] = pictures[3]  # codes 1 and 0
    pictures[101] = np.clip(pictures[6].astype(int) + 3, 0, 255)  # codes 2 and 0
    pictures[9] = pictures[0]  # both in train: no leak
    found = find_duplicates(image_sketch(pictures, 0, 255), codes_of(300), "图{}".format)
    assert {f.kind: f.places for f in found} == {
        "duplicates": ("图100 (val) = 图3 (train)",),
        "near_duplicates": ("图101 (test) = 图6 (train)",),
    }


def test_rows_that_differ_by_rounding_are_near_copies():
    rows = np.random.default_rng(0).normal(size=(200, 5)).astype(np.float32)
    rows = np.round(rows, 1)
    rows[50] = rows[0] + 1e-4
    found = find_duplicates(row_sketch(rows, np.ones(5)), codes_of(200), str)
    assert [(f.kind, f.places) for f in found] == [("near_duplicates", ("50 (test) = 0 (train)",))]


def test_many_copies_are_counted_but_only_some_are_named():
    pictures = np.repeat(smooth(1), 90, 0)
    (found,) = find_duplicates(image_sketch(pictures, 0, 255), codes_of(90), str)
    assert "30 in val and 30 in test are an exact copy" in found.message
    assert len(found.places) == 20


def test_two_hundred_thousand_take_seconds():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(200_000, 12)).astype(np.float32)
    rows[199_999] = rows[0]
    (found,) = find_duplicates(row_sketch(rows, np.ones(12)), codes_of(200_000), str)
    assert found.places == ("199999 (val) = 0 (train)",)
