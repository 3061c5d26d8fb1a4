"""Labels that were swapped are found among the most suspicious."""

from __future__ import annotations

import numpy as np
from sklearn.neighbors import NearestNeighbors

from workbench.screens.views import suspicion


def test_swapped_labels_come_first(road):
    train = road.data.train
    rng = np.random.default_rng(0)
    targets = np.asarray(train.targets).copy()
    swapped = rng.choice(len(targets), 8, replace=False)
    targets[swapped] = (targets[swapped] + 3) % 10
    data = road.workspace.load("arrays", inputs=np.array(train.inputs), targets=targets)
    rows, shares, _ = suspicion.suspects(data, "train")
    numbers = np.asarray(data.train.indices)[rows]
    worst = numbers[np.argsort(-shares, kind="stable")[:30]]
    in_train = np.isin(swapped, numbers)
    assert np.isin(swapped[in_train], worst).mean() >= 0.8


def test_the_share_is_that_of_an_independent_neighbour_search(road):
    train, val = road.data.train, road.data.val
    rows, shares, _ = suspicion.suspects(road.data, "val")
    known = np.asarray(train.inputs, np.float32).reshape(len(train), -1)
    asked = np.asarray(val.inputs, np.float32).reshape(len(val), -1)[rows]
    near = NearestNeighbors(n_neighbors=7).fit(known).kneighbors(asked, return_distance=False)
    expected = (train.targets[near] != val.targets[rows][:, None]).mean(1)
    assert np.mean(np.isclose(shares, expected)) > 0.97  # ties may fall either way
