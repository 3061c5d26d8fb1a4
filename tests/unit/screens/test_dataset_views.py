"""Every sort of data and target can be looked at: card, state, samples, balance."""

from __future__ import annotations

import json

import numpy as np
import pytest

from workbench.data.load import load
from workbench.data.modalities import MODALITIES
from workbench.screens.views import dataset as view
from workbench.tasks import TASKS
from workbench.widgets.dataset_cards import dataset_card

COUNT = 24
IMAGES = np.random.default_rng(0).random((COUNT, 6, 8)).astype(np.float32)
CASES = [
    (task, number)
    for task in TASKS
    for number, example in enumerate(TASKS.get(task).examples(COUNT, np.random.default_rng(0)))
    if example.axes in (0, 2)
]


@pytest.mark.parametrize(("task", "number"), CASES)
def test_every_task_is_shown(store, task, number):
    example = TASKS.get(task).examples(COUNT, np.random.default_rng(0))[number]
    data = load(
        store, "arrays", inputs=IMAGES, targets=example.values, labels=example.labels, task=task
    )
    state = json.loads(json.dumps(view.state(data)))
    assert state["shape_words"] == "6×8"
    assert sum(state["balance"]["train"]) > 0
    shown = view.gallery(data, "train")
    assert shown["count"] == len(shown["names"]) == len(shown["indices"])
    assert all(shown["names"])
    assert task in dataset_card(data).html()


@pytest.mark.parametrize("modality", MODALITIES.keys())
def test_every_modality_is_shown(store, modality):
    plugin = MODALITIES.get(modality)
    train = plugin.examples(np.random.default_rng(0)).train
    if not isinstance(train, np.ndarray) and plugin.array_ranks:
        train = np.random.default_rng(0).random((20, 3))
    data = load(store, "arrays", inputs=train, targets=np.arange(len(train)) % 2, modality=modality)
    assert plugin.what in dataset_card(data).html()
    if view.has_tiles(data):
        assert view.gallery(data, "val")["png"].startswith("data:image/png")
    else:
        assert view.table_rows(data, "val")["rows"]


def test_a_curve_is_drawn_where_it_runs():
    from workbench.data.modalities.series import drawn

    ramp = np.linspace(0, 1, 64, dtype=np.float32)[None, None]
    picture = drawn(ramp, 64)[0, 0]
    assert picture[-1, 0] == 1, "low at first"
    assert picture[0, -1] == 1, "high at last"
    assert picture[0, 0] == picture[-1, -1] == 0
