from __future__ import annotations

import numpy as np
import pytest

from workbench.core.errors import InputError
from workbench.data.transforms import TRANSFORMS


@pytest.fixture
def pictures(digits):
    return digits[0][:50, None].astype(np.float32)


def apply(key, pictures, seed=0, **options):
    plugin = TRANSFORMS.get(key)
    config = TRANSFORMS.parse(key, options)
    return plugin.apply(pictures, np.random.default_rng(seed), config)


def test_shift_moves_whole_pixels(pictures):
    changed = apply("shift", pictures, pixels=1, fill="zero")
    for before, after in zip(pictures[:, 0], changed[:, 0], strict=True):
        padded = np.pad(before, 1)
        windows = [padded[y : y + 8, x : x + 8] for y in range(3) for x in range(3)]
        assert any(np.array_equal(after, window) for window in windows)


def test_shift_repeats_the_border(pictures):
    changed = apply("shift", np.ones_like(pictures), pixels=3)
    assert (changed == 1).all()


def test_rotate_by_nothing_changes_nothing(pictures):
    assert np.allclose(apply("rotate", pictures, degrees=0), pictures, atol=1e-5)


def test_rotate_by_a_quarter_turns_the_picture(pictures, monkeypatch):
    class Quarter:
        def uniform(self, low, high, shape):
            return np.full(shape, 90.0)

    plugin, config = TRANSFORMS.get("rotate"), TRANSFORMS.parse("rotate", {"degrees": 90})
    turned = plugin.apply(pictures, Quarter(), config)
    ways = [np.rot90(pictures, k, (2, 3)) for k in (1, 3)]
    assert any(np.allclose(turned, way, atol=1e-3) for way in ways)


def test_crop_stays_within_the_picture(pictures):
    changed = apply("crop", pictures, smallest=0.5)
    assert changed.min() >= pictures.min()
    assert changed.max() <= pictures.max()
    assert np.allclose(apply("crop", pictures, smallest=1.0), pictures, atol=1e-5)


def test_flip_mirrors_about_half(pictures):
    changed = apply("flip", pictures, labels="all")
    mirrored = (changed == pictures[..., ::-1]).all((1, 2, 3))
    kept = (changed == pictures).all((1, 2, 3))
    assert (mirrored | kept).all()
    assert 10 < mirrored.sum() < 40


def test_flip_leaves_characters_out_unless_asked():
    flip = TRANSFORMS.get("flip")

    def allowed(labels, /, **options):
        return flip.allowed(labels, TRANSFORMS.parse("flip", options))

    assert allowed(("7", "b", "猫", "dog", "12")) == ("猫", "dog")
    assert allowed(("7", "dog"), labels="all") == ("7", "dog")
    assert allowed(("7", "dog", "cat"), labels="cat/7") == ("7", "cat")
    with pytest.raises(InputError, match="'dog'"):
        allowed(("dog", "cat"), labels="dgo")
