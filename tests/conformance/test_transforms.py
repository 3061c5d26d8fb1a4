"""Each transform changes a batch by its seed alone, and nothing but the batch it returns."""

from __future__ import annotations

import numpy as np
import pytest

from workbench.core.errors import InputError
from workbench.data import TRANSFORMS, load
from workbench.data.augment import parse_augment
from workbench.data.transform import Transform


@pytest.fixture(params=TRANSFORMS.keys())
def key(request):
    return request.param


@pytest.fixture
def transform(key) -> Transform:
    return TRANSFORMS.get(key)


@pytest.fixture
def config(key):
    return TRANSFORMS.parse(key, {})


@pytest.fixture(params=[(1, 8, 8), (3, 5, 9), (1, 1, 1)], ids=str)
def batch(request):
    return np.random.default_rng(0).random((16, *request.param), np.float32)


def test_shape_and_dtype_stay_and_the_batch_is_not_touched(transform, config, batch):
    before = batch.copy()
    changed = transform.apply(batch, np.random.default_rng(0), config)
    assert changed.shape == batch.shape
    assert changed.dtype == np.float32
    assert np.isfinite(changed).all()
    assert np.array_equal(batch, before)
    assert transform.apply(batch[:0], np.random.default_rng(0), config).shape == batch[:0].shape


def test_the_seed_decides(transform, config, batch):
    first, again, other = (
        transform.apply(batch, np.random.default_rng(seed), config) for seed in (1, 1, 2)
    )
    assert np.array_equal(first, again)
    if batch.shape[-1] > 1:
        assert not np.array_equal(first, other)


def test_values_stay_in_range(transform, config, batch):
    changed = transform.apply(batch, np.random.default_rng(0), config)
    assert changed.min() >= -1e-6
    assert changed.max() <= 1 + 1e-6


def test_its_options_are_described_and_strict(key, transform):
    assert transform.summary
    assert all(field.description for field in transform.Config.model_fields.values())
    with pytest.raises(InputError, match="unknown option"):
        TRANSFORMS.parse(key, {"strenght": 1})


def test_it_can_be_asked_for_by_name(store, key):
    data = load(store, "digits", augment=key)
    assert [step.kind for step in data.augment] == [key]
    assert parse_augment([step.to_json() for step in data.augment]) == data.augment
    inputs, _ = next(data.train.batches(64, seed=0))
    assert inputs.shape == (64, 1, 8, 8)
