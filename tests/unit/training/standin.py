"""A dataset of plain arrays with the interface of `workbench.data.Dataset`."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
from sklearn.datasets import load_diabetes, load_digits
from sklearn.model_selection import train_test_split

from workbench.core.config import Config


class Split:
    def __init__(self, inputs, targets):
        self.inputs, self.targets = inputs, targets

    def __len__(self):
        return len(self.targets)

    def batches(self, batch_size, *, seed=None):
        order = np.arange(len(self))
        if seed is not None:
            order = np.random.default_rng(seed).permutation(order)
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            yield self.inputs[rows].astype(np.float32), self.targets[rows]


class Preprocessing(Config):
    pass


def digits(seed=0, limit=None):
    inputs, targets = load_digits(return_X_y=True)
    inputs = inputs.reshape(-1, 1, 8, 8).astype(np.float32)
    return _dataset("digits", inputs, targets, tuple("0123456789"), "image", seed, limit)


def diabetes(seed=0, limit=None):
    inputs, targets = load_diabetes(return_X_y=True)
    return _dataset(
        "diabetes", inputs.astype(np.float32), targets.astype(np.float32), (), "table", seed, limit
    )


def _dataset(name, inputs, targets, labels, modality, seed, limit):
    rows = np.arange(len(targets))[:limit]
    groups = targets if labels else None
    train, rest = _split(rows, groups, seed)
    val, test = _split(rest, groups, seed)
    axes = (0,) if modality == "table" else (0, 2, 3)
    mean = inputs[train].mean(axes, keepdims=True)[0]
    std = inputs[train].std(axes, keepdims=True)[0]
    return SimpleNamespace(
        ref=f"dataset:{name}@000000",
        name=name,
        fingerprint="0" * 64,
        modality=modality,
        task="classification" if labels else "regression",
        labels=labels,
        sample_shape=inputs.shape[1:],
        normalization=(mean, std),
        preprocessing=Preprocessing(),
        train=Split(inputs[train], targets[train]),
        val=Split(inputs[val], targets[val]),
        test=Split(inputs[test], targets[test]),
    )


def _split(rows, groups, seed):
    stratify = None if groups is None else groups[rows]
    return train_test_split(rows, train_size=0.5, stratify=stratify, random_state=seed)
