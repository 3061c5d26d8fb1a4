"""What is said of an error is what the error is: of quick looks, of the map, of its band.

Populations are made, so that the truth is known.
"""

from __future__ import annotations

import numpy as np
import pytest

from workbench.compression import conformal
from workbench.compression.look_samples import by_margin
from workbench.compression.looks import drop_of
from workbench.compression.score_map import Points, ScoreMap, squash, unsquash
from workbench.tasks import TASKS

margins = TASKS.get("classification").margins

SAMPLES, LOOKS = 2000, 60
NOISE = 0.3


def population(push: float, shift: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns logits of two classes [N, 2], and who lost by a push of about this size [N]."""
    rng = np.random.default_rng(seed)
    margins = rng.gamma(2.0, 2.0, SAMPLES)
    outputs = np.stack([margins, np.zeros(SAMPLES)], axis=1)
    return outputs, (rng.normal(shift, push, SAMPLES) > margins).astype(float)


@pytest.mark.parametrize(
    ("push", "shift", "drop"), [(0.2, 0, 0.2), (0.7, 0, 2.2), (9, 0, 34), (9, 12, 79)]
)
@pytest.mark.parametrize("count", [64, 256])
def test_looks_say_how_far_they_are_off(push, shift, drop, count):
    drops, noises, errors = [], [], []
    for seed in range(12):
        outputs, lost = population(push, shift, seed)
        for start in np.arange(0.05, 1, 0.1):
            chosen = by_margin(margins(outputs), count, float(start))
            found, noise = drop_of(lost[chosen.indices], chosen)
            noises.append(100 * noise)
            errors.append(100 * (found - lost.mean()))
        drops.append(100 * lost.mean())
    assert np.mean(drops) == pytest.approx(drop, rel=0.2)
    said, true = rms(noises), rms(errors)
    assert 0.8 * true <= said <= 1.3 * true + 0.1


def rms(values: list[float]) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


def test_a_look_at_everything_has_no_noise():
    outputs, lost = population(2.0, 0.0, 0)
    assert drop_of(lost, by_margin(margins(outputs), SAMPLES, 0.5)) == (
        pytest.approx(lost.mean()),
        0.0,
    )


def world(seed: int, count: int, luck: float) -> tuple[Points, np.ndarray]:
    """Returns points whose scores err by `NOISE`, seen with `luck`, and their squashed truth."""
    rng = np.random.default_rng(seed)
    logs = rng.uniform(-6, 1.5, count)
    drops = 85 * -np.expm1(-np.exp(1.3 * (logs - 1)))
    truth = squash(drops) + rng.normal(0, NOISE, count)
    noise = luck * np.sqrt(drops**2 + 0.25)
    seen = np.array([unsquash(value) for value in truth]) + noise * rng.normal(size=count)
    places = rng.uniform(0, 1, (count, 3))
    return Points(np.exp(logs), places, np.minimum(seen, 85), noise), truth


@pytest.mark.parametrize("luck", [0.1, 0.4])
def test_the_map_tells_what_it_leaves_over_from_the_luck_of_looks(luck):
    maps = [ScoreMap(85, world(seed, LOOKS, luck)[0]) for seed in range(12)]
    assert rms([found.noise for found in maps]) == pytest.approx(NOISE, rel=0.2)
    ratios = np.concatenate([np.divide(*found.left_out()) for found in maps])
    assert ratios.std() == pytest.approx(1, abs=0.2)


@pytest.mark.parametrize("luck", [0.1, 0.4])
def test_nine_of_ten_new_recipes_are_in_the_band(luck):
    inside = []
    for seed in range(12):
        points, truth = world(seed, 2 * LOOKS, luck)
        looked = Points(*(part[:LOOKS] for part in vars(points).values()))
        found = ScoreMap(85, looked)
        width = conformal.width(*found.left_out())
        asked = zip(points.scores[LOOKS:], points.places[LOOKS:], strict=True)
        centers, spreads = np.array([found.predict(*row) for row in asked]).T
        inside.append(np.mean(np.abs(truth[LOOKS:] - centers) <= width * spreads))
    assert np.mean(inside) >= conformal.LEVEL
    assert min(inside) >= 0.8
