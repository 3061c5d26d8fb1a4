from __future__ import annotations

import pytest

from workbench.compression.saturation import Saturation, measure_saturation
from workbench.runtime.cpu import describe_cpu


def test_what_is_tried_agrees_with_the_cpu_flags():
    found, cpu = measure_saturation(), describe_cpu()
    assert found.reduced == 0
    assert cpu.int8 == "unknown" or (found.full > 0) == cpu.saturates


@pytest.mark.parametrize(
    ("full", "reduced", "words"),
    [
        (0.0, 0.0, "tried here: sums of int8 products are exact"),
        (0.19, 0.0, "tried here: 19% of sums are wrong with 8-bit weights, none with 7-bit"),
        (0.19, 0.02, "tried here: 19% of sums are wrong with 8-bit weights, 2% with 7-bit"),
    ],
)
def test_words(full, reduced, words):
    assert Saturation(full, reduced).words == words
